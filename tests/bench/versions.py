"""Ten versions of a database's dump and its files, a day's changes apart: bytes stored, and bytes on the line.

python tests/bench/versions.py [--rows N] [--versions N]

One row in a hundred and ten files are others each day. Ours goes the whole way over a real sshd; the line's bytes are
all of its connection, with ssh's own. restic and borg are given the same stream as one tar file.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.bulk import Database
from fakes.figures import machine
from fakes.peers import Borg, Peer, Restic, stored
from fakes.proxy import Proxy
from fakes.ssh_pair import SshPair, ssh_pair

from bkcore.archive.members import LineKeeper, tar
from bkcore.flow import Never
from bkcore.modules.patterns import Excludes
from bkcore.modules.tree import Tree

_MB = 1e6
_ALLOWED = 64 * 1024
# The smallest, largest and usual length of a chunk as powers of two, and the window.
_BORG_64K = "10,23,16,4095"


def peers(folder: Path) -> dict[str, Peer]:
    """With repositories that are made."""
    made: dict[str, Peer] = {
        "restic": Restic(folder / "restic", folder / "restic-cache"),
        "borg": Borg(folder / "borg", folder / "borg-base"),
        "borg, 64 KiB": Borg(folder / "borg64", folder / "borg64-base", chunker=_BORG_64K),
    }
    for peer in made.values():
        peer.begin()
    return made


def measure(folder: Path, rows: int, versions: int) -> Iterator[str]:
    """Lines, as they become known."""
    data = Database(folder / "data", rows)
    others = peers(folder)
    proxies: list[Proxy] = []

    def dial(port: int) -> int:
        proxies.append(Proxy(port))
        return proxies[-1].port

    source = f'[source.shop]\nmodule = "directories"\npath = "{data.folder}"\nas = "archive"\n'
    with ssh_pair(folder, source, dial=dial) as pair:
        (proxy,) = proxies
        for day in range(versions):
            if day:
                data.change()
            (folder / "tar").mkdir(exist_ok=True)
            _write_tar(data.folder, folder / "tar" / "dump.tar")
            for peer in others.values():
                peer.store(folder, "tar", f"day-{day}")
            before = _packs(pair)
            pair.back_up("shop")
            yield _line(day, _packs(pair) - before, sum(proxy.carried.values()))
        proxy.close()
        ours = stored(pair.stored)
        index = sum(path.stat().st_size for path in (pair.stored / "sftp").glob("index.sqlite*"))
        yield f"{versions} versions of {(folder / 'tar' / 'dump.tar').stat().st_size / _MB:.0f} MB, MB stored:"
        yield f"  ours {ours / _MB:.1f} (of it packs {_packs(pair) / _MB:.1f}, the derived index {index / _MB:.1f})"
    sizes = {name: stored(peer.repository) for name, peer in others.items()}
    yield "  " + ", ".join(f"{name} {size / _MB:.1f}" for name, size in sizes.items())
    yield f"  ratio to the best {ours / min(sizes.values()):.2f} (goal: at most 0.95)"


def _write_tar(folder: Path, path: Path) -> None:
    """The stream that we store, as a file."""
    with path.open("wb") as file:
        for piece in tar(Tree(os.fsencode(folder), Excludes(()), Never()), LineKeeper()):
            file.write(piece)


def _packs(pair: SshPair) -> int:
    return stored(pair.stored / "sftp" / "packs")


def _line(day: int, new: int, carried: int) -> str:
    ratio = carried / (1.1 * new + _ALLOWED)
    return (
        f"day {day}: new packs {new / _MB:.2f} MB, on the line {carried / _MB:.2f} MB; to what is allowed {ratio:.2f}"
    )


def main() -> None:
    """Print each day, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=560_000)
    parser.add_argument("--versions", type=int, default=10)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bk-versions-"))
    print(machine("restic", "borg", "ssh"))
    try:
        for line in measure(folder, given.rows, given.versions):
            print(line, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
