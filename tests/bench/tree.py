"""A tree of many files as one archive, beside restic and borg: first and second run, all of it and one file given back.

python tests/bench/tree.py [--files N] [--mb N] [--runs N]

Stored over real sshds on loopback: ours is the client's and the server's tick back to back until the receipt was read;
restic's repository is reached by sftp, borg's by its own server, each with a plain key. Given back on the machine that
has the repository: by whole processes, all from local files. Ours is durable and read back from disk by sum when it
ends; the others leave that to whoever wants it.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.bulk import Files
from fakes.figures import machine, medians
from fakes.peers import Borg, Login, Peer, Restic, stored, timed
from fakes.ssh_pair import SshPair, ssh_pair

_NEWEST = "<2100-01-01, 1"
_FIRST, _SECOND, _ALL, _ONE, _SIZE = (
    "first run",
    "second run",
    "restore of all",
    "restore of one file",
    "stored after both",
)
Figures = dict[str, dict[str, float]]


class Ours:
    """As a peer, except that the newest version is what is given back."""

    def __init__(self, pair: SshPair) -> None:
        self._pair = pair
        self.repository = pair.stored

    def store(self) -> float:
        return self._pair.back_up("tree")

    def restore(self, into: Path, path: str = "") -> float:
        into.mkdir()
        chosen = ["--path", path] if path else []
        words = ("db", "export", str(into), "0", _NEWEST, "--as", "files", *chosen)
        return timed(self._pair.command(self._pair.server, *words))


def measure(folder: Path, tree: Files) -> Figures:
    """Seconds and MB of everything, once, with new repositories. The tree has changed afterwards."""
    source = f'[source.tree]\nmodule = "directories"\npath = "{tree.folder}"\nas = "archive"\n'
    with ssh_pair(folder, source) as pair:
        login = Login.allowed(folder, pair.server.root, pair.at_server)
        ours = Ours(pair)
        far: dict[str, Peer] = {
            "restic": Restic(folder / "restic", folder / "restic-cache", login),
            "borg": Borg(folder / "borg", folder / "borg-base", login),
        }
        near: dict[str, Peer] = {
            "restic": Restic(folder / "restic", folder / "restic-near"),
            "borg": Borg(folder / "borg", folder / "borg-base"),
        }
        for peer in far.values():
            peer.begin()
        found: Figures = {}
        for run in (_FIRST, _SECOND):
            if run == _SECOND:
                tree.change()
            found[run] = {"ours": ours.store()}
            found[run] |= {name: peer.store(tree.folder.parent, "tree", run[:6].strip()) for name, peer in far.items()}
        for what, path in ((_ALL, ""), (_ONE, tree.name(tree.count // 2))):
            found[what] = {"ours": ours.restore(folder / "given", path)}
            shutil.rmtree(folder / "given")
            for name, peer in near.items():
                found[what][name] = peer.restore("second", folder / "given", f"tree/{path}" if path else "")
                shutil.rmtree(folder / "given")
        repositories = {"ours": ours.repository} | {name: peer.repository for name, peer in far.items()}
        found[_SIZE] = {name: stored(where) / 1e6 for name, where in repositories.items()}
        return found


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--mb", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="bk-tree-"))
    try:
        tree = Files(top / "tree", given.files, given.mb * 1_000_000)
        runs = []
        for number in range(given.runs):
            (top / f"{number}").mkdir()
            runs.append(measure(top / f"{number}", tree))
            shutil.rmtree(top / f"{number}")
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(machine("restic", "borg", "ssh"))
    print(f"{given.files} files, {given.mb} MB; 1 % of the files changed; medians of {given.runs}")
    for what in runs[0]:
        unit, goal = ("MB", "at most 1.03") if what == _SIZE else ("s", "below 1")
        print(medians(what, [run[what] for run in runs], unit, goal=goal))


if __name__ == "__main__":
    main()
