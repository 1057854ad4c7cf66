"""`bkcore backup --wait` of a tiny source on an idle pair, beside `ssh host true`, through one machine's real sshd.

python tests/bench/wait.py [--runs N]

The whole way: prepared, pushed, taken in by the hook, fetched by the tick that it starts, stored, the receipt read.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.sshd import Sshd

from bkcore.gate.keys import make_pair
from bkcore.setup import homes

_ALLOWED = 0.5


def seconds(argv: Sequence[str]) -> float:
    """Of a whole process that must end well."""
    begun = time.perf_counter()
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    return time.perf_counter() - begun


def plain(folder: Path, sshd: Sshd) -> list[str]:
    """`ssh host true`, with nobody's configuration."""
    settings = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "IdentitiesOnly=yes")
    options = [word for each in settings for word in ("-o", each)]
    return ["ssh", "-F", "none", *options, "-i", f"{folder}/id", "-p", str(sshd.port), f"{sshd.user}@127.0.0.1", "true"]


def measure(folder: Path, runs: int) -> tuple[list[float], list[float]]:
    """Seconds of each backup, and of each login."""
    (folder / "tree").mkdir()
    source = f'[source.tree]\nmodule = "directories"\npath = "{folder}/tree"\nas = "archive"\n'
    server = homes.create_server_home(folder / "server", "main")
    client = homes.create_client_home(folder / "client", "web1", sources=source)
    at_server, at_client = Sshd.start(folder / "a", server.root), Sshd.start(folder / "b", client.root)
    try:
        homes.join(
            client,
            server,
            client_door=homes.Door("127.0.0.1", at_client.port, at_client.user),
            server_door=homes.Door("127.0.0.1", at_server.port, at_server.user),
            dialled_from=["127.0.0.1"],
        )
        make_pair(folder / "id", "plain")
        keys = server.ssh / "authorized_keys"
        keys.write_bytes(keys.read_bytes() + (folder / "id.pub").read_bytes())
        backup = [sys.executable, "-I", "-m", "bkcore", "backup", "--home", str(client.root), "directories", "--wait"]
        ours, theirs = [], []
        for number in range(runs + 1):
            (folder / "tree" / "file").write_text(f"{number}\n")
            ours.append(seconds(backup))
            theirs.append(seconds(plain(folder, at_server)))
        return ours[1:], theirs[1:]
    finally:
        at_server.stop()
        at_client.stop()


def main() -> None:
    """Print medians and what was allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    folder = Path(tempfile.mkdtemp(prefix="bk-wait-"))
    try:
        ours, theirs = (statistics.median(each) for each in measure(folder, runs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    allowed = 4 * theirs + _ALLOWED
    print(f"backup --wait {ours:.2f} s, ssh host true {theirs:.2f} s: medians of {runs}")
    print(f"allowed: 4 x {theirs:.2f} s + {_ALLOWED} s = {allowed:.2f} s; ratio {ours / allowed:.2f} (goal: at most 1)")


if __name__ == "__main__":
    main()
