"""`bkdb ls` of very many archives, as whole processes: seconds and the most memory; and making its catalogs anew.

python tests/bench/ls.py [--archives N] [--runs N]

Ten clients with a hundred sources each. Every archive has content of its own, which is the most that there can be.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.stored import server_home

from bkcore.archive.entries import ArchiveDetail, Entry, encode
from bkcore.request import new_id

CLIENTS, SOURCES = 10, 100
FIRST = datetime(2023, 11, 23, 3, 25, 11, tzinfo=UTC)
ASKED = {
    "ls of all": ["ls"],
    "ls of one client": ["ls", "--client", "c3"],
    "ls of one source": ["ls", "--client", "c3", "--source", "s42"],
    "stats": ["stats"],
}


def build(home: Path, count: int) -> None:
    """A server home with so many archives: their entries, and manifests that hold nothing."""
    data = server_home(home) / "data"
    for client in range(CLIENTS):
        for part in ("entries", "manifests"):
            (data / f"c{client}" / "sftp" / part).mkdir(parents=True)
        for entry in _entries(f"c{client}", count // CLIENTS):
            (data / f"c{client}" / "sftp" / "entries" / entry.id).write_bytes(encode(entry))
            (data / f"c{client}" / "sftp" / "manifests" / entry.root).touch()
    time.sleep(2.5)  # what was written in the last two seconds may not have been seen whole, and is looked at again


def _entries(client: str, count: int) -> Iterator[Entry]:
    for number in range(1, count + 1):
        source = number % SOURCES
        at = FIRST + timedelta(seconds=61 * number)
        root = hashlib.sha256(f"{client} {number}".encode()).hexdigest()
        yield Entry(
            id=new_id(at, number % 30_000),
            of=root,
            client=client,
            source=f"s{source}",
            module="directories",
            created=at,
            stored_at=at,
            sequence=number,
            root=root,
            size=1_000_000,
            new_bytes=1000,
            oldest_check=at,
            detail=ArchiveDetail(manifest=root, stream_sha256=root),
            path=f"/srv/s{source}",
        )


def run(home: Path, words: list[str]) -> tuple[float, int, int]:
    """Seconds, MB at the most and lines of one process."""
    argv = [sys.executable, "-I", "-m", "bkcore", "db", *words]
    with tempfile.TemporaryFile() as out:
        before = time.perf_counter()
        child = subprocess.Popen(argv, stdout=out, env={**os.environ, "BK_HOME": str(home)})
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - before
        if status:
            raise SystemExit(f"{words} ended with {status}")
        out.seek(0)
        return seconds, used.ru_maxrss // 1000, sum(1 for _ in out)


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archives", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bk-ls-"))
    try:
        build(folder / "home", given.archives)
        seconds, memory, _ = run(folder / "home", ["ls"])
        size = sum(path.stat().st_size for path in (folder / "home" / "data").glob("*/catalog.sqlite*"))
        print(f"{given.archives} archives, the first ls, which makes the catalogs: {seconds:.2f} s, {memory} MB")
        print(f"catalogs: {size / 1e6:.0f} MB, {size / given.archives:.0f} bytes an archive")
        run(folder / "home", ["ls"])
        for what, words in ASKED.items():
            taken = [run(folder / "home", words) for _ in range(given.runs)]
            seconds = statistics.median(each[0] for each in taken)
            print(f"{what}: {seconds:.3f} s, {max(each[1] for each in taken)} MB, {taken[0][2]} lines")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
