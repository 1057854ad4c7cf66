"""Ten thousand requests as one batch: submit, push, extract. Beside git, tar and sync doing no more than they must.

python tests/bench/control_batch.py [--requests N] [--runs N]

Both go through one real sshd on loopback and end on the same disk. Theirs: as many files of the same bytes are written,
`git -c core.fsync=all` adds, commits and pushes them, `git archive | tar` lays them out at the other side, `sync -f`
makes them durable. Ours: the wishes are submitted as one batch, then, prepared, pushed and extracted by the hook.
Preparing has no counterpart in theirs: its seconds are printed beside.
"""

import argparse
import contextlib
import getpass
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.sshd import Sshd

from bkcore import durable
from bkcore.controlline.transport import Transport
from bkcore.gate.keys import make_pair
from bkcore.setup import homes
from bkcore.state import Letter
from bkcore.tick import client as client_tick
from bkcore.tick.ends import ClientEnd, ServerEnd
from bkcore.tick.exchange import exchange
from bkcore.tick.prepare import Preparing

_CLIENT, _SERVER = "web1", "main"


def ours(folder: Path, count: int) -> tuple[dict[str, float], list[bytes]]:
    """Seconds of each leg, and the bytes of what was sent."""
    tables = "".join(f'[source.s{at}]\nmodule = "directories"\npath = "/srv/{at}"\n' for at in range(count))
    server = homes.create_server_home(folder / "server", _SERVER)
    client = homes.create_client_home(folder / "client", _CLIENT, sources=tables)
    sshd = Sshd.start(folder / "sshd", server.root)
    try:
        homes.join(
            client,
            server,
            client_door=homes.Door("127.0.0.1", 1, sshd.user),
            server_door=homes.Door("127.0.0.1", sshd.port, sshd.user),
            dialled_from=["127.0.0.1"],
        )
        return _legs(ClientEnd.open(client), ServerEnd.open(server), count)
    finally:
        sshd.stop()


def _legs(client: ClientEnd, server: ServerEnd, count: int) -> tuple[dict[str, float], list[bytes]]:
    pool, preparing = client.pool(_SERVER), Preparing(client)
    sources = client.sources()
    seconds = {"submit": _timed(lambda: client_tick.submit_all(client, _SERVER, sources))}
    seconds["prepare"] = _timed(lambda: all(iter(preparing.next, False)))
    sent = [client.request_file(_SERVER, item.id).read_bytes() for item in pool.items()]
    # The tick that the hook starts waits for this lock, so what was extracted can be counted.
    with durable.locked(server.home.housekeeping):
        seconds |= _exchange(client)
        waiting = [item for item in server.pool(_CLIENT).items() if item.letter is Letter.COMPLETE]
        assert len(waiting) == len(sent) == count, f"{len(waiting)} of {count} were extracted"
        seconds["exchange, nothing new"] = _timed(lambda: exchange(client, _SERVER, at_once=True))
        _end_ticks(server.home.root)
    return seconds, sent


def _end_ticks(home: Path) -> None:
    """The ticks that the hook started for this home."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"tick" in words and os.fsencode(home) in words:
                os.kill(int(process.name), signal.SIGTERM)


def _exchange(client: ClientEnd) -> dict[str, float]:
    """One exchange: until the push returned, when the hook has extracted, and what follows: receipts, packing."""
    pushed: list[float] = []
    push = Transport.push

    def timed(transport: Transport, commit: str) -> str:
        said = push(transport, commit)
        pushed.append(time.perf_counter())
        return said

    Transport.push = timed  # type: ignore[assignment, method-assign]
    begun = time.perf_counter()
    try:
        exchange(client, _SERVER)
    finally:
        Transport.push = push  # type: ignore[method-assign]
    return {"push and extract": pushed[0] - begun, "receipts, packing": time.perf_counter() - pushed[0]}


def theirs(folder: Path, bodies: list[bytes]) -> float:
    """Seconds of plain tools for the same files."""
    home = folder / "plain"
    (home / ".ssh").mkdir(parents=True)
    make_pair(home / ".ssh" / "id", "plain")
    shutil.copy(home / ".ssh" / "id.pub", home / ".ssh" / "authorized_keys")
    sshd = Sshd.start(folder / "sshd-plain", home)
    try:
        _git(folder, "init", "-q", "--bare", str(home / "far.git"))
        _git(folder, "init", "-q", "--initial-branch=master", str(home / "near"))
        return _timed(lambda: _plain(home, sshd.port, bodies))
    finally:
        sshd.stop()


def _plain(home: Path, port: int, bodies: list[bytes]) -> None:
    near = home / "near"
    for at, body in enumerate(bodies):
        (near / f"RQ{at}").write_bytes(body)
    durable = ("-c", "core.fsync=all", "-c", "user.name=A", "-c", "user.email=a@example.org")
    options = f"-i {home}/.ssh/id -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    _git(near, *durable, "add", "-A")
    _git(near, *durable, "commit", "-q", "-m", "batch")
    url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{home}/far.git"
    _git(near, *durable, "push", "-q", url, "master", GIT_SSH_COMMAND=f"ssh -F none {options}")
    (home / "laid").mkdir()
    subprocess.run(
        "git --git-dir=far.git archive master | tar -x -C laid && sync -f laid", shell=True, cwd=home, check=True
    )


def _git(folder: Path, *words: str, **environment: str) -> None:
    plain = {"PATH": os.environ["PATH"], "HOME": "/", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *words], cwd=folder, env=plain | environment, check=True, stdout=subprocess.DEVNULL)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Print medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    legs: list[dict[str, float]] = []
    plain: list[float] = []
    for _ in range(given.runs):
        with tempfile.TemporaryDirectory(prefix="bk-batch-", ignore_cleanup_errors=True) as folder:
            seconds, sent = ours(Path(folder), given.requests)
            legs.append(seconds)
            plain.append(theirs(Path(folder), sent))
    for name in legs[0]:
        print(f"{name:>22}: {statistics.median(each[name] for each in legs):7.2f} s")
    mine = statistics.median(each["submit"] + each["push and extract"] for each in legs)
    other = statistics.median(plain)
    print(f"{given.requests} requests submitted, pushed, extracted: {mine:.2f} s; git, tar and sync: {other:.2f} s")
    print(f"ratio {mine / other:.2f} (goal: at most 2)")


if __name__ == "__main__":
    main()
