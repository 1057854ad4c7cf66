"""`bkcore serve` for a home, in a process of its own."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 15.0
_CODE = """
import sys
from pathlib import Path
from bkcore.server import serve
serve(Path(sys.argv[1]), "127.0.0.1", 0)
"""


@dataclass
class Embedded:
    """A running embedded server. user: any name will do."""

    port: int
    user: str
    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, home: Path) -> "Embedded":
        child = subprocess.Popen([sys.executable, "-I", "-c", _CODE, str(home)], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _SECONDS
        while child.poll() is None and time.monotonic() < deadline:
            if (home / "serve.json").exists():
                return cls(int(json.loads((home / "serve.json").read_bytes())["port"]), "backup", child)
            time.sleep(0.02)
        child.kill()
        raise AssertionError("the embedded server did not start")

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(15)
