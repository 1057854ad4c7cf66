"""What stands behind the stand-in for ssh: reads ssh's words, finds the home behind a port, and starts its gate.

The same decisions as with a real server, without the cost of logging in: host keys are compared, the key is looked up
in the generated authorized_keys, and the forced command is started with SSH_ORIGINAL_COMMAND.
"""

import array
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bkcore import process
from bkcore.gate.keys import PublicKey, parse_key
from bkcore.server.lookup import find

# Options of ssh that take a word.
_WITH_WORD = frozenset("bBcDeEFIiJlLmOopPQRSwW")
_SFTP = "internal-sftp"


@dataclass
class Call:
    """One call of ssh, as its words say."""

    words: list[str]
    options: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    destination: str = ""
    command: str = ""

    def __post_init__(self) -> None:
        words = iter(self.words)
        rest: list[str] = []
        for word in words:
            if rest or not word.startswith("-"):
                rest.append(word)
            elif word == "--":
                rest += words
            elif word[1] in _WITH_WORD:
                self._option(word[1], word[2:] or next(words))
            else:
                self.flags |= set(word[1:])
        self.destination, self.command = rest[0], " ".join(rest[1:])

    def _option(self, letter: str, value: str) -> None:
        if letter == "o":
            name, _, value = value.replace("=", " ", 1).partition(" ")
            self.options.setdefault(name.lower(), value.strip().strip('"'))
        else:
            self.options.setdefault({"p": "port", "i": "identityfile", "l": "user"}.get(letter, letter), value)


#: Runs the gate: its argv, the caller's command, the connection that tells of the caller's end, stdin stdout stderr.
Run = Callable[[tuple[str, ...], str, socket.socket, list[int]], int]


class Door:
    """Listens beside a copy of the stand-in. program: what BK_SSH must name. homes: by port; a port may be shut.

    run: how a call reaches its gate.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bk-ssh-"))
        self.program = self.folder / "ssh"
        self.homes: dict[int, Path] = {}
        self.calls: list[Call] = []
        self.run: Run = _run
        source = Path(__file__).with_name("ssh").read_text().partition("\n")[2]
        self.program.write_text(f"#!{sys.executable} -IS\n{source}")
        self.program.chmod(0o755)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(self.folder / "door"))
        self._socket.listen(64)
        self._listener = threading.Thread(target=self._accept, daemon=True)
        self._listener.start()

    def open(self, port: int, home: Path) -> None:
        """Let this home answer on that port."""
        self.homes[port] = home

    def shut(self, port: int) -> None:
        """From now on nobody answers on that port."""
        self.homes.pop(port, None)

    def close(self) -> None:
        """No more calls. A listener that only lost its descriptor would answer for the next door with that number."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._listener.join()
        self._socket.close()
        shutil.rmtree(self.folder)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            head, extras, _, _ = connection.recvmsg(4, 256)
            if not extras:
                return  # the caller was ended before it said anything
            streams = array.array("i", extras[0][2]).tolist()
            words = _receive(connection, int.from_bytes(head, "big"))
            try:
                call = Call([os.fsdecode(word) for word in words.split(b"\0")])
                self.calls.append(call)
                status = self._answer(call, connection, streams)
            finally:
                for stream in streams:
                    with contextlib.suppress(OSError):
                        os.close(stream)
            with contextlib.suppress(OSError):
                connection.sendall(bytes([status]))

    def _answer(self, call: Call, connection: socket.socket, streams: list[int]) -> int:
        home = self.homes.get(int(call.options.get("port", "22")))
        if home is None:
            port = call.options.get("port", "22")
            return _tell(streams, f"ssh: connect to host {call.destination} port {port}: Connection refused")
        if not _host_key_is_known(call, home):
            return _tell(streams, "Host key verification failed.")
        forced = find(home / ".ssh" / "authorized_keys", _key(call), "127.0.0.1")
        if forced is None:
            return _tell(streams, f"{call.destination}: Permission denied (publickey).")
        command = call.command
        if "s" in call.flags:
            if command != "sftp":
                return _tell(streams, "subsystem request failed on channel 0")
            command = _SFTP
        return self.run(forced.argv, command, connection, streams)


def _run(argv: tuple[str, ...], command: str, connection: socket.socket, streams: list[int]) -> int:
    env = process.environment({"SSH_CONNECTION": "127.0.0.1 40000 127.0.0.1 22"})
    if command:
        env["SSH_ORIGINAL_COMMAND"] = command
    stdin, stdout, stderr = streams
    child = subprocess.Popen(argv, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)
    for stream in streams:
        os.close(stream)
    streams.clear()
    watcher = threading.Thread(target=_end_with, args=(connection, child), daemon=True)
    watcher.start()
    status = child.wait()
    return status if status >= 0 else 255


def _end_with(connection: socket.socket, child: "subprocess.Popen[bytes]") -> None:
    """A caller that dies takes its gate along, as a connection that breaks does."""
    with contextlib.suppress(OSError):
        if not connection.recv(1) and child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)


def _host_key_is_known(call: Call, home: Path) -> bool:
    known = call.options.get("userknownhostsfile")
    if known is None:
        return True
    mine = parse_key((home / ".ssh" / "host_ed25519.pub").read_text())
    return any(mine.line in line for line in Path(known).read_text().splitlines())


def _key(call: Call) -> PublicKey:
    return parse_key(Path(call.options["identityfile"] + ".pub").read_text())


def _tell(streams: list[int], line: str) -> int:
    os.write(streams[2], f"{line}\n".encode())
    return 255


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (block := connection.recv(size - len(data))):
        data += block
    return data
