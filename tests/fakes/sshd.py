"""OpenSSH's own server on a loopback port, as whoever runs the tests, with the files that the product generated."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from fakes.world import free_port

from bkcore.gate.keys import make_pair

_SECONDS = 10.0
#: Compiled into Debian's sshd, which as root does not start without it. A service manager makes it at boot, if there is
#: one.
_SEPARATION = Path("/run/sshd")


@dataclass
class Sshd:
    """A running server. user: the only account that it can serve, that of the tests."""

    port: int
    user: str
    log: Path
    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, folder: Path, home: Path) -> "Sshd":
        """Serve a home's authorized_keys with its host key.

        SHLVL: a bash that sshd starts reads the tester's own .bashrc, unless it takes itself for an inner one.
        """
        folder.mkdir()
        if os.geteuid() == 0:
            _SEPARATION.mkdir(mode=0o755, exist_ok=True)
        port = free_port()
        make_pair(home / ".ssh" / "host_ed25519", "host")
        config = folder / "sshd_config"
        config.write_text(
            f"""\
ListenAddress 127.0.0.1:{port}
HostKey {home}/.ssh/host_ed25519
AuthorizedKeysFile {home}/.ssh/authorized_keys
AuthenticationMethods publickey
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
LogLevel VERBOSE
Subsystem sftp internal-sftp
SetEnv SHLVL=9
"""
        )
        program = shutil.which("sshd", path="/usr/sbin:/sbin:/usr/local/sbin")
        assert program is not None, "apt-get install openssh-server"
        with (folder / "log").open("wb") as log:
            child = subprocess.Popen([program, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=log)
        started = cls(port, getpass.getuser(), folder / "log", child)
        try:
            until_listening(port, child)
        except AssertionError:
            raise AssertionError(started.log.read_text()) from None
        return started

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def until_listening(port: int, child: "subprocess.Popen[bytes]") -> None:
    """Wait until somebody listens on a loopback port. AssertionError when the process ends, or never does."""
    deadline = time.monotonic() + _SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}")
