"""A program that git takes for ssh: runs git's server side here, counts what passes, and can break the line.

Its settings lie beside it and are read anew at each call, so a test can change the weather between two exchanges.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = """#!{python} -IS
import json, os, shlex, subprocess, sys, threading
folder = os.path.dirname(os.path.abspath(__file__))
with open(folder + "/settings.json") as file:
    settings = json.load(file)
if settings["down"]:
    sys.exit("ssh: connect to host stand-in port 22: Connection refused")
verb, path = shlex.split(sys.argv[-1])
cuts = settings["cuts"].get(verb, {{}})
rules = ("receive.denyDeletes=true", "receive.denyNonFastForwards=true", "receive.hideRefs=refs/bk", "core.fsync=all",
         "core.hooksPath=" + settings["hooks"])
options = [word for rule in rules for word in ("-c", rule)]
argv = ["git", *options, verb.removeprefix("git-"), settings["repositories"] + path]
child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
cut = threading.Event()
passed = {{"up": 0, "down": 0}}

def cut_the_line():
    cut.set()
    os.dup2(os.open("/dev/null", os.O_RDWR), 1)
    child.stdin.close()

def pump(way, source, target):
    while block := os.read(source, 1 << 16):
        room = cuts.get(way, 1 << 60) - passed[way]
        passed[way] += len(block[:room])
        try:
            os.write(target, b"" if cut.is_set() else block[:room])
        except OSError:
            break
        if len(block) >= room and not cut.is_set():
            cut_the_line()
    if way == "up" and not cut.is_set():
        child.stdin.close()

threading.Thread(target=pump, args=("up", 0, child.stdin.fileno()), daemon=True).start()
pump("down", child.stdout.fileno(), 1)
status = child.wait()
facts = {{"verb": verb, "path": path, "cut": cut.is_set(), "status": status, **passed}}
with open(folder + "/calls.jsonl", "a") as calls:
    calls.write(json.dumps(facts) + "\\n")
if cut.is_set():
    os.write(2, b"client_loop: send disconnect: Broken pipe\\n")
os._exit(255 if cut.is_set() else status)
"""


@dataclass(frozen=True)
class StandIn:
    """folder: the program's own. repositories: what a path on the line is looked up in. hooks: of all of them."""

    folder: Path
    repositories: Path
    hooks: Path

    @property
    def program(self) -> Path:
        """What BK_SSH must name."""
        return self.folder / "ssh"

    def install(self) -> None:
        self.folder.mkdir(parents=True)
        self.program.write_text(_PROGRAM.format(python=sys.executable))
        self.program.chmod(0o700)
        self.weather()

    def weather(self, *, down: bool = False, **cuts: dict[str, int]) -> None:
        """How the line is from now on: `receive_pack={"up": 100}` cuts a push after 100 bytes."""
        settings = {
            "repositories": str(self.repositories),
            "hooks": str(self.hooks),
            "down": down,
            "cuts": {f"git-{verb.replace('_', '-')}": cut for verb, cut in cuts.items()},
        }
        (self.folder / "settings.json").write_text(json.dumps(settings))

    def calls(self) -> list[dict[str, Any]]:
        """Every call so far: verb, path, cut, status, bytes up and down."""
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
