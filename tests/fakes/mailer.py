"""A sendmail program that keeps what it is given, and its words; it fails while a file `broken` lies beside it."""

import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from bkcore.config.client import Mail

_PROGRAM = """#!{python}
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
if os.path.exists(os.path.join(here, "broken")):
    sys.stderr.write("no route to the relay\\x1b[31m\\n")
    sys.exit(75)
at = len([name for name in os.listdir(here) if name.startswith("sent")])
with open(os.path.join(here, f"sent{{at:03}}"), "wb") as sent:
    sent.write("\\0".join(sys.argv[1:]).encode() + b"\\n" + sys.stdin.buffer.read())
"""


@dataclass(frozen=True)
class Sent:
    """A message as the program was given it."""

    words: list[str]
    text: str

    @property
    def subject(self) -> str:
        first = self.text.splitlines()[0]
        assert first.startswith("Subject: ")
        return first.removeprefix("Subject: ")


class Mailer:
    """The program, and what it sent so far."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.program = folder / "sendmail"
        self.program.write_text(_PROGRAM.format(python=sys.executable))
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)

    def fails(self, *, yes: bool) -> None:
        broken = self._folder / "broken"
        broken.touch() if yes else broken.unlink()

    @property
    def sent(self) -> list[Sent]:
        found = []
        for path in sorted(self._folder.glob("sent*")):
            words, _, text = path.read_bytes().partition(b"\n")
            found.append(Sent(words.decode().split("\0"), text.decode()))
        return found

    @property
    def mail(self) -> Mail:
        """The table of a bk.toml."""
        return Mail(sendmail=str(self.program), to=["root", "ops@example.org"])
