"""An ordinary user of this machine, made for a test: nothing of root's may be read by it, not even our interpreter."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import bkcore

# What only reads or runs tests: it is large, and a stranger has no use for it.
_NOT_COPIED = shutil.ignore_patterns("mypy", "mypyc", "pip", "_pytest", "hypothesis", "__pycache__", "*editable*")


@dataclass(frozen=True)
class Stranger:
    """A user with a folder of its own and an installation of the product in it."""

    name: str
    number: int
    folder: Path

    @classmethod
    def make(cls) -> "Stranger":
        """Root only."""
        folder = Path(tempfile.mkdtemp(prefix="bk-stranger-", dir="/tmp"))
        folder.chmod(0o755)
        name = f"bkt{os.getpid()}"
        subprocess.run(["/usr/sbin/useradd", "--no-create-home", "--home-dir", str(folder / "home"), name], check=True)
        number = int(subprocess.check_output(["id", "-u", name]))
        made = cls(name, number, folder)
        made._install()
        for each in ("home", "tmp"):
            (folder / each).mkdir()
            os.chown(folder / each, number, -1)
        return made

    def remove(self) -> None:
        """The user and all its files."""
        subprocess.run(["/usr/sbin/userdel", self.name], check=True, capture_output=True)
        shutil.rmtree(self.folder)

    def processes(self) -> list[Path]:
        """All of the user's processes, as folders of /proc."""
        return [path for path in Path("/proc").glob("[0-9]*") if path.exists() and path.stat().st_uid == self.number]

    @property
    def python(self) -> Path:
        """The interpreter that has the product."""
        return self.folder / "venv" / "bin" / "python"

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

    def _base(self) -> Path:
        """The interpreter that our virtual environment was made of; the system's if only root can reach that one."""
        for base in (Path(sys.executable).resolve(), Path("/usr/bin/python3")):
            try:
                command = [str(base), "-c", "import sys; print(*sys.version_info[:2])"]
                said = subprocess.check_output(
                    command, user=self.number, group=self.number, extra_groups=[], cwd="/", text=True
                )
            except OSError:
                continue
            if said.split() == [str(number) for number in sys.version_info[:2]]:
                return base
        raise AssertionError(f"no interpreter like {sys.executable} that an ordinary user can run")

    def _install(self) -> None:
        """A copy of what we run on: our own may lie where only root can go."""
        subprocess.run([self._base(), "-m", "venv", "--without-pip", self.folder / "venv"], check=True)
        (packages,) = (self.folder / "venv").glob("lib/python*/site-packages")
        source = Path(sys.prefix) / packages.relative_to(self.folder / "venv")
        shutil.copytree(source, packages, ignore=_NOT_COPIED, dirs_exist_ok=True)
        ours = Path(bkcore.__file__).parent
        shutil.copytree(ours, packages / "bkcore", ignore=_NOT_COPIED, dirs_exist_ok=True)
        for program, module in (("bkcore", "bkcore.cli"), ("bkdb", "bkcore.cli.db")):
            script = self.python.parent / program
            script.write_text(f"#!{self.python} -I\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        subprocess.run(["chmod", "-R", "a+rX", self.folder], check=True)
        subprocess.run(["chmod", "a+x", self.python.parent / "bkcore", self.python.parent / "bkdb"], check=True)
