"""The command line: `group` names the commands, one module each; `internal` holds those that programs call."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["gate"], ["hook"]):
        from bkcore.cli.internal import call

        return call(words)
    from bkcore.cli.group import bkcore
    from bkcore.cli.options import main as run_group

    return run_group(bkcore, "bkcore", words)
