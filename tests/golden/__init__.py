"""Golden results: what growing and training give today. They may change only together with a version (make golden)."""
