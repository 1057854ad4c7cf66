"""The product installed where every user of this machine may run it: our own may lie where only root can go."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bkcore

# What only reads or runs tests: it is large, and nobody there has a use for it.
_NOT_COPIED = shutil.ignore_patterns("mypy", "mypyc", "pip", "_pytest", "hypothesis", "__pycache__", "*editable*")
_NOBODY = 65534


@dataclass(frozen=True)
class Installation:
    """A copy of what we run on, in a virtual environment of its own below folder."""

    folder: Path

    @classmethod
    def make(cls) -> "Installation":
        """Root only."""
        folder = Path(tempfile.mkdtemp(prefix="bk-installed-", dir="/tmp"))
        folder.chmod(0o755)
        made = cls(folder)
        made._install()
        return made

    def remove(self) -> None:
        """All its files."""
        shutil.rmtree(self.folder)

    @property
    def python(self) -> Path:
        """The interpreter that has the product."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def bkcore(self) -> Path:
        """The command."""
        return self.python.parent / "bkcore"

    def _base(self) -> Path:
        """The interpreter that our virtual environment was made of; the system's if only root can reach that one."""
        for base in (Path(sys.executable).resolve(), Path("/usr/bin/python3")):
            try:
                command = [str(base), "-c", "import sys; print(*sys.version_info[:2])"]
                said = subprocess.check_output(
                    command, user=_NOBODY, group=_NOBODY, extra_groups=[], cwd="/", text=True
                )
            except OSError:
                continue
            if said.split() == [str(number) for number in sys.version_info[:2]]:
                return base
        raise AssertionError(f"no interpreter like {sys.executable} that an ordinary user can run")

    def _install(self) -> None:
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
