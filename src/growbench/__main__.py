"""`python -m growbench`: the command line without its installed script."""

import sys

from growbench.cli import main

sys.exit(main())
