"""An ordinary user of this machine, made for a test: nothing of root's may be read by it, not even our interpreter."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fakes.installation import Installation


@dataclass(frozen=True)
class Stranger:
    """A user with a folder of its own and an installation of the product in it."""

    name: str
    number: int
    installation: Installation

    @classmethod
    def make(cls) -> "Stranger":
        """Root only."""
        installation = Installation.make()
        folder = installation.folder
        name = f"bkt{os.getpid()}"
        subprocess.run(["/usr/sbin/useradd", "--no-create-home", "--home-dir", str(folder / "home"), name], check=True)
        number = int(subprocess.check_output(["id", "-u", name]))
        made = cls(name, number, installation)
        for each in ("home", "tmp"):
            (folder / each).mkdir()
            os.chown(folder / each, number, -1)
        return made

    def remove(self) -> None:
        """The user and all its files."""
        subprocess.run(["/usr/sbin/userdel", self.name], check=True, capture_output=True)
        self.installation.remove()

    def processes(self) -> list[Path]:
        """All of the user's processes, as folders of /proc."""
        return [path for path in Path("/proc").glob("[0-9]*") if path.exists() and path.stat().st_uid == self.number]

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.installation.folder

    @property
    def python(self) -> Path:
        """The interpreter that has the product."""
        return self.installation.python

    @property
    def environment(self) -> Mapping[str, str]:
        """As after logging in."""
        return {
            "PATH": f"{self.python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "USER": self.name,
            "TMPDIR": str(self.folder / "tmp"),
        }

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """A command of this user."""
        return subprocess.Popen(
            command,
            user=self.number,
            group=self.number,
            extra_groups=[],
            env=self.environment,
            cwd=self.folder / "home",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
