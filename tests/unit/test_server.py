"""The embedded server as OpenSSH's client sees it: bytes, ends, signals, and who is let in."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.embedded import Embedded

from bkcore.errors import BkError
from bkcore.gate.keys import PublicKey, forced_line, make_pair, regenerate
from bkcore.server import serve
from bkcore.server.lookup import find, is_from
from bkcore.server.pipes import Inflow, Outflow

BIG = bytes(range(256)) * 20_000


@dataclass(frozen=True)
class Open:
    """An embedded server whose only key is let in for one command."""

    home: Path
    server: Embedded

    def argv(self, *before: str) -> list[str]:
        settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]
        settings += ["IdentitiesOnly=yes", f"IdentityFile={self.home}/key", f"Port={self.server.port}"]
        options = [word for each in settings for word in ("-o", each)]
        return ["ssh", "-F", "none", *before, *options, "any@127.0.0.1"]

    def ask(self, given: bytes = b"", *words: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run([*self.argv(), *words], input=given, capture_output=True, timeout=30, check=False)


@pytest.fixture
def forced(tmp_path: Path) -> Iterator[Callable[..., Open]]:
    started: list[Embedded] = []

    def start(*command: str) -> Open:
        key = make_pair(tmp_path / "key", "key")
        regenerate(tmp_path / ".ssh" / "authorized_keys", [forced_line(command, key)])
        started.append(Embedded.start(tmp_path))
        return Open(tmp_path, started[-1])

    yield start
    for each in started:
        each.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def test_bytes_go_both_ways_unchanged_and_the_end_of_input_ends_the_program(forced: Callable[..., Open]) -> None:
    done = forced("/bin/cat").ask(BIG)
    assert (done.returncode, done.stdout == BIG, done.stderr) == (0, True, b"")


def test_both_outputs_and_the_exit_status_come_over(forced: Callable[..., Open]) -> None:
    done = forced("/bin/sh", "-c", 'echo "$SSH_ORIGINAL_COMMAND"; echo err >&2; exit 3').ask(b"", "asked", "for  this")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"asked for  this\n", b"err\n")


def test_a_program_that_dies_of_a_signal_did_not_succeed(forced: Callable[..., Open]) -> None:
    assert forced("/bin/sh", "-c", "kill -9 $$").ask().returncode == 255


def test_a_program_that_is_not_there_is_no_success(forced: Callable[..., Open]) -> None:
    assert forced("/no/such/program").ask().returncode == 126


def test_a_program_that_reads_nothing_ends_though_much_is_sent(forced: Callable[..., Open]) -> None:
    assert forced("/bin/true").ask(BIG).returncode == 0


def test_a_program_that_closes_its_outputs_is_still_waited_for(forced: Callable[..., Open], tmp_path: Path) -> None:
    done = forced("/bin/sh", "-c", f"exec >&- 2>&-; cat; touch {tmp_path}/late; exit 5").ask(BIG)
    assert (done.returncode, (tmp_path / "late").exists()) == (5, True)


def test_a_grandchild_that_keeps_the_output_open_is_not_waited_for(forced: Callable[..., Open]) -> None:
    done = forced("/bin/sh", "-c", "sleep 100 & echo done").ask()
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_a_program_goes_on_when_the_other_side_is_gone(forced: Callable[..., Open], tmp_path: Path) -> None:
    script = f"echo here; cat >/dev/null; echo nobody hears; head -c 100000 /dev/zero; touch {tmp_path}/whole"
    open_ = forced("/bin/sh", "-c", script)
    caller = subprocess.Popen(open_.argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert caller.stdout is not None
    assert caller.stdout.readline() == b"here\n"
    caller.kill()
    caller.communicate()
    wait_for((tmp_path / "whole").exists)


def test_a_program_that_never_stops_talking_to_nobody_ends(forced: Callable[..., Open], tmp_path: Path) -> None:
    open_ = forced("/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; exec cat /dev/zero")
    caller = subprocess.Popen(open_.argv(), stdout=subprocess.PIPE)
    assert caller.stdout is not None
    caller.stdout.read(1)
    caller.kill()
    caller.communicate()
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not _runs(pid))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_servers_end_is_the_end_of_its_children(
    forced: Callable[..., Open], tmp_path: Path, number: signal.Signals
) -> None:
    open_ = forced("/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; echo started; exec sleep 1000")
    caller = subprocess.Popen(open_.argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert caller.stdout is not None
    caller.stdout.readline()
    pid = int((tmp_path / "pid").read_text())
    open_.server.process.send_signal(number)
    assert open_.server.process.wait(15) == (0 if number is signal.SIGTERM else -9)
    wait_for(lambda: not _runs(pid))
    assert caller.wait(15) == 255
    caller.communicate()
    assert (tmp_path / "serve.json").exists() is (number is signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_it_says_where_it_listens(forced: Callable[..., Open], tmp_path: Path) -> None:
    open_ = forced("/bin/true")
    said = json.loads((tmp_path / "serve.json").read_bytes())
    assert said == {"format": 1, "pid": open_.server.process.pid, "address": "127.0.0.1", "port": open_.server.port}
    assert (tmp_path / ".ssh" / "host_ed25519").stat().st_mode & 0o777 == 0o600


def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BkError, match="cannot be listened on"):
            serve(tmp_path, "127.0.0.1", taken.getsockname()[1])
    assert not (tmp_path / "serve.json").exists()


def test_one_connection_has_a_bounded_number_of_sessions(forced: Callable[..., Open]) -> None:
    open_ = forced("/bin/cat")
    control = ("-o", f"ControlPath=/tmp/bk-mux-{os.getpid()}")
    master = subprocess.Popen(open_.argv("-N", "-M", *control), stdin=subprocess.DEVNULL)
    wait_for(lambda: Path(control[1].partition("=")[2]).exists())
    running = [subprocess.Popen(open_.argv(*control), stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(10)]
    for each in running:
        assert each.stdin is not None
        assert each.stdout is not None
        each.stdin.write(b"x\n")
        each.stdin.flush()
        assert each.stdout.readline() == b"x\n"
    one_more = subprocess.run(open_.argv(*control), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert b"Session open refused" in one_more.stderr
    for each in running:
        each.communicate()
    again = subprocess.run(open_.argv(*control), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (again.returncode, again.stderr) == (0, b"")
    master.terminate()
    master.wait()


KEY = PublicKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIMBESpCRCC7zLxR5ZXrFx/QPBOqslI3eTvBKc7998fNd")


@pytest.mark.parametrize(
    "options",
    [
        "",
        "restrict ",
        'command="/bin/true" ',
        'restrict,pty,command="/bin/true" ',
        'restrict,command="/bin/true",environment="A=b" ',
        'restrict,command="/bin/true",from="192.0.2.1" ',
        'cert-authority,restrict,command="/bin/true" ',
    ],
)
def test_a_line_that_gives_more_or_less_than_a_command_lets_nobody_in(tmp_path: Path, options: str) -> None:
    (tmp_path / "keys").write_text(f"{options}{KEY.line}\n")
    assert find(tmp_path / "keys", KEY, "127.0.0.1") is None


def test_the_first_line_that_fits_counts(tmp_path: Path) -> None:
    lines = [forced_line([name], KEY, hosts) for name, hosts in (("a", ["192.0.2.1"]), ("b", []), ("c", []))]
    (tmp_path / "keys").write_text("\n".join(lines))
    found = find(tmp_path / "keys", KEY, "127.0.0.1")
    assert found is not None
    assert found.argv == ("b",)
    assert find(tmp_path / "none", KEY, "127.0.0.1") is None


@pytest.mark.parametrize(
    ("patterns", "address", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("192.0.2.1,127.0.0.1", "127.0.0.1", True),
        ("127.0.0.0/8", "127.9.9.9", True),
        ("10.0.0.0/8", "127.0.0.1", False),
        ("127.0.0.?", "127.0.0.1", True),
        ("127.*", "127.0.0.1", True),
        ("*,!127.0.0.1", "127.0.0.1", False),
        ("!127.0.0.0/8,*", "127.0.0.1", False),
        ("!192.0.2.1,*", "127.0.0.1", True),
        ("::1", "::1", True),
        ("2001:db8::/32", "2001:DB8::1", True),
        ("localhost", "127.0.0.1", False),
        ("127.0.0.[1]", "127.0.0.1", False),
        ("nonsense/33", "127.0.0.1", False),
        ("", "127.0.0.1", False),
    ],
)
def test_addresses_are_compared_as_sshd_does(patterns: str, address: str, expected: bool) -> None:
    assert is_from(patterns, address) is expected


def test_input_is_held_back_while_the_program_does_not_read() -> None:
    async def talk() -> tuple[list[str], bytes]:
        read, write = os.pipe()
        told: list[str] = []
        resumed = asyncio.Event()

        def resume() -> None:
            told.append("resume")
            resumed.set()

        flow = Inflow(write, lambda: told.append("pause"), resume)
        flow.write(BIG)
        flow.end()
        flow.write(b"dropped")
        arrived = b""
        while block := await asyncio.to_thread(os.read, read, 1 << 20):
            arrived += block
        await resumed.wait()
        os.close(read)
        return told, arrived

    told, arrived = asyncio.run(talk())
    assert told == ["pause", "resume"]
    assert arrived == BIG


def test_output_is_not_read_while_the_other_side_does_not_take_it() -> None:
    async def talk() -> tuple[bytes, bytes, bool]:
        read, write = os.pipe()
        arrived = bytearray()
        ended = asyncio.Event()
        flow = Outflow(read, arrived.extend, ended.set)
        flow.stop()
        os.write(write, b"first")
        await asyncio.sleep(0)
        held = bytes(arrived)
        flow.start()
        flow.finish()
        await ended.wait()
        os.close(write)
        return held, bytes(arrived), flow.ended

    assert asyncio.run(talk()) == (b"", b"first", True)
