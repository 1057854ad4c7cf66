"""The hidden gate commands, as long as there is no command line."""

import os
import sys
import tomllib
from pathlib import Path

from bkcore import gate
from bkcore.state import Method

_, _, role, _, home, _, name = sys.argv
command = os.environ.get("SSH_ORIGINAL_COMMAND", "")
if role == "server":
    gate.control(Path(home), name, command)
sources = tomllib.loads((Path(home) / "bk.toml").read_text()).get("source", {})
methods = {"git": Method.GIT, "directories": Method.RSYNC}
served = {
    label: gate.Served(methods[each["module"]], os.fsencode(each["path"]), tuple(each.get("exclude", ())))
    for label, each in sources.items()
    if each["module"] in methods
}
gate.data(Path(home), name, command, served)
