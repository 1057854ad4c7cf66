"""The console: both ends of the backup system on one screen."""

import sys


def main() -> int:
    """Say where the same answers are to be had as long as there are no screens. Exit code 2."""
    sys.stderr.write("bkconsole: there are no screens yet; `bkcore status` and `bkdb ls` show the same\n")
    return 2
