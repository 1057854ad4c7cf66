"""Verify, the fetch of a large archive, and an export, each beside plain programs doing no more than they must.

python tests/bench/streams.py [--files N] [--mb N] [--incompressible-mb N] [--runs N]

Verify: `bkdb verify` of a tree's archive beside `zstd -dc | sha256sum` of the same bytes. Fetch: the server's tick,
which fetches, checks and stores, beside `sftp get`, `sha256sum` and `sync -f` of the same packs through the same sshd.
Export: of `.tar.zst` beside `cp` and `sha256sum` of that file, and `sync -f`, for ours is durable when it ends.
"""

import argparse
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.bulk import Files
from fakes.figures import machine, medians
from fakes.peers import Login, timed
from fakes.ssh_pair import SERVER, SshPair, ssh_pair

Figures = dict[str, dict[str, float]]


def measure(folder: Path, tree: Files, noise: Path) -> Figures:
    """Seconds of everything, once."""
    sources = "".join(
        f'[source.{label}]\nmodule = "directories"\npath = "{path}"\nas = "archive"\n'
        for label, path in (("tree", tree.folder), ("noise", noise))
    )
    with ssh_pair(folder, sources) as pair:
        login = Login.allowed(folder, pair.client.root, pair.at_client)
        pair.prepare("tree")
        pair.fetch()
        pair.prepare("noise")
        found = {"fetch of noise": _fetch(folder, pair, login)}
        return found | _export_and_verify(folder / "given", pair)


def _fetch(folder: Path, pair: SshPair, login: Login) -> dict[str, float]:
    """Theirs first: the outbox goes when ours has ended."""
    box = next(iter(sorted(pair.client.outbox(SERVER).iterdir())))
    (folder / "got").mkdir()
    remote = shlex.join(["sftp", "-q", *login.options, "-P", str(login.port), f"{login.host}:{box}/pack-*", "got/"])
    plain = timed(["sh", "-c", f"{remote} && sha256sum got/* && sync -f got"], cwd=folder)
    shutil.rmtree(folder / "got")
    ours = timed(pair.command(pair.server, "tick"))
    pair.fetch()
    return {"ours": ours, "sftp, sha256sum, sync": plain}


def _export_and_verify(given: Path, pair: SshPair) -> Figures:
    found: Figures = {}
    given.mkdir()
    (given / "copy").mkdir()
    choose = ("--source", "tree")
    words = ("db", "export", str(given), "--as", "tar.zst", *choose)
    ours = timed(pair.command(pair.server, *words))
    (file,) = given.glob("*.tar.zst")
    copy = ["sh", "-c", f"cp {file} copy/ && sha256sum {file}"]
    found["export of .tar.zst"] = {"ours": ours, "cp, sha256sum": timed(copy, cwd=given)}
    durable = timed(["sync", "-f", str(given / "copy")])
    found["the same, durable"] = {
        "ours": ours,
        "cp, sha256sum, sync": found["export of .tar.zst"]["cp, sha256sum"] + durable,
    }
    plain = ["sh", "-c", f"zstd -dc {file} | sha256sum"]
    found["verify"] = {
        "ours": timed(pair.command(pair.server, "db", "verify", *choose)),
        "zstd -dc, sha256sum": timed(plain),
    }
    shutil.rmtree(given)
    return found


def main() -> None:
    """Print medians and ratios of times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--mb", type=int, default=500)
    parser.add_argument("--incompressible-mb", type=int, default=1074)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    goals = {
        "verify": "at most 1.11",
        "fetch of noise": "at most 1.20",
        "export of .tar.zst": "at most 1.25",
    }
    top = Path(tempfile.mkdtemp(prefix="bk-streams-"))
    try:
        tree = Files(top / "tree", given.files, given.mb * 1_000_000)
        (top / "noise").mkdir()
        with (top / "noise" / "file").open("wb") as file:
            for _ in range(given.incompressible_mb):
                file.write(tree.chance.randbytes(1_000_000))
        runs = []
        for number in range(given.runs):
            (top / f"{number}").mkdir()
            runs.append(measure(top / f"{number}", tree, top / "noise"))
            shutil.rmtree(top / f"{number}")
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(machine("zstd", "ssh"))
    print(f"{given.files} files, {given.mb} MB; {given.incompressible_mb} MB of noise; medians of {given.runs}")
    for what in runs[0]:
        print(medians(what, [run[what] for run in runs], goal=goals.get(what, "")))


if __name__ == "__main__":
    main()
