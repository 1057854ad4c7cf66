"""`python -m bkcore`: the same as the program bkcore."""

import sys

from bkcore.cli import main

sys.exit(main())
