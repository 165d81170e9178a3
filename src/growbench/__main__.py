"""`python -m growbench`: the command line without its installed script."""

import sys

from growbench.cli.main import main

sys.exit(main())
