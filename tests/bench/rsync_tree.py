"""A directory of many files and one large sparse file, fetched where it lies, beside a bare rsync --link-dest.

python tests/bench/rsync_tree.py [--files N] [--gib N]

Both over one real sshd on loopback. Ours is the client's and the server's tick back to back until the receipt was read;
it also hashes what is new, looks which names are one file, and makes everything durable. The largest process is the
largest of all that our commands started on this side, and of the gate's rsync, which is rsync itself.
"""

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.figures import machine
from fakes.peers import Login, timed
from fakes.ssh_pair import ssh_pair

_A_FOLDER = 100
_LARGEST = 4000


def make(top: Path, files: int, gib: int) -> None:
    """Files of up to 4 kB in folders of a hundred, and a file that is nearly all hole."""
    chance = random.Random(20261123)
    for number in range(files):
        folder = top / f"folder{number // _A_FOLDER:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{number}").write_bytes(chance.randbytes(chance.randrange(_LARGEST)))
    with (top / "sparse").open("wb") as file:
        file.write(b"begin")
        file.truncate(gib << 30)
        file.seek((gib << 30) - 3)
        file.write(b"end")


def change(top: Path, files: int) -> None:
    """One file of a hundred says something else."""
    for number in range(0, files, 100):
        (top / f"folder{number // _A_FOLDER:04d}" / f"file{number}").write_bytes(b"changed %d" % number)


def main() -> None:
    """Print seconds, ratios and the largest process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--gib", type=int, default=20)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    tree = folder / "tree"
    make(tree, asked.files, asked.gib)
    print(f"{machine()}; {asked.files} files, and one of {asked.gib} GiB that is a hole")
    with ssh_pair(folder, f'[source.tree]\nmodule = "directories"\npath = "{tree}"\n') as pair:
        login = Login.allowed(folder, pair.client.root, pair.at_client)

        def bare(into: str, *more: str) -> float:
            words = ["rsync", "-rlptgo", "--numeric-ids", "--sparse", *more, "-e", login.ssh]
            return timed([*words, f"{login.host}:{tree}/", f"{folder / into}/"])

        first = (pair.back_up("tree"), bare("one"))
        change(tree, asked.files)
        second = (pair.back_up("tree"), bare("two", f"--link-dest={folder / 'one'}"))
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        for name, (ours, theirs) in (("first", first), ("second", second)):
            print(f"{name}: {ours:.1f} s, rsync {theirs:.1f} s: {ours / theirs:.2f}")
        print(f"largest process: {largest} MB")
        kept = next((pair.stored / "rsync" / "tree").glob("2*/sparse"))
        print(f"the sparse file takes {os.stat(kept).st_blocks * 512} bytes")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
