"""A machine of one's own: a mount namespace with its own /etc, where root may make users and change sshd and cron.

What is changed in there is in memory and goes with it; this machine's own /etc is only read.
"""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from fakes.installation import Installation
from fakes.sshd import until_listening
from fakes.world import free_port

_SET_UP = """
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
mkdir -p /etc/cron.d /run/sshd
ssh-keygen -A > /dev/null
echo ready
exec sleep infinity
"""
Done = subprocess.CompletedProcess[str]


@dataclass
class Machine:
    """Root only. homes: where ends may have theirs, in memory. port: of its sshd, once it was started."""

    installation: Installation
    homes: Path = Path("/mnt")
    port: int = 0
    _holder: "subprocess.Popen[str]" = field(init=False, repr=False)
    _sshd: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _SET_UP]
        self._holder = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"

    def run(self, *argv: str | Path, user: str = "", given: str = "") -> Done:
        """A program in there, as root or as a user of there."""
        start = ["runuser", "-u", user, "--"] if user else []
        return subprocess.run(
            [*self._enter(), *start, *map(str, argv)],
            input=given,
            cwd="/",
            env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def bkcore(self, *words: str | Path, user: str = "", given: str = "") -> Done:
        """The product's command in there."""
        return self.run(self.installation.bkcore, *words, user=user, given=given)

    def read(self, path: str) -> str:
        """A file of there."""
        return self.run("cat", path).stdout

    def start_sshd(self) -> None:
        """OpenSSH's own server, with the machine's settings."""
        self.port = free_port()
        where = ("-p", str(self.port), "-o", "ListenAddress=127.0.0.1", "-o", f"PidFile={self.homes}/sshd.pid")
        argv = [*self._enter(), "/usr/sbin/sshd", "-D", "-e", *where]
        self._sshd = subprocess.Popen(argv, cwd="/", stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_listening(self.port, self._sshd)

    def end(self) -> None:
        """Everything that was started, and with the last process all that was changed."""
        for process in (self._sshd, self._holder):
            if process is not None:
                process.terminate()
                process.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()

    def _enter(self) -> list[str]:
        return ["nsenter", "-t", str(self._holder.pid), "-m", "--"]
