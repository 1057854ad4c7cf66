"""`bkdb find` over millions of names, as whole processes, and the size of the index.

python tests/bench/find.py [--names N] [--runs N]

The names are those of made-up versions: 50 sources, each with as many paths of five parts.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from fakes.stored import server_home
from fakes.streams import file, request_id, store

from bkcore.archive.entries import Entries, Entry
from bkcore.archive.inside import Thing
from bkcore.archive.names import FILE, Names
from bkcore.flow import Kind

SOURCES = 50
_WORDS = ("acorn", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "juniper", "knoll", "larch")
_ENDS = ("txt", "jpg", "sql", "conf", "py", "log", "xml", "html")
ASKED = {
    "a part of 8 letters, 1 match": ["needle-x"],
    "a part of 3 letters, 50 matches": ["qqz"],
    "a part that nothing has": ["nothing-has-this"],
    "a glob, 50 matches": ["--glob", "qqz-*.txt"],
    "a regular expression with letters, 1 match": ["--regex", "needle-[xyz]$"],
    "a regular expression without, 50 matches": ["--regex", "/(qqz|zqq)-"],
}


def things(source: int, count: int) -> Iterator[Thing]:
    """Paths of one source; one of them is rare."""
    chance = random.Random(source)
    for number in range(count - 2):
        parts = "/".join(chance.choice(_WORDS) for _ in range(4))
        yield Thing(f"{parts}/{chance.choice(_WORDS)}-{number}.{chance.choice(_ENDS)}".encode(), Kind.FILE)
    yield Thing(f"rare/qqz-{source}.txt".encode(), Kind.FILE)
    yield Thing(b"rare/needle-x" if source == 7 else b"rare/other", Kind.FILE)


def build(home: Path, count: int) -> list[Entry]:
    """A server home whose one client has that many names."""
    data = server_home(home) / "data" / "web1"
    real = store(data, 1, [file(b"x", b"x")])
    made = [
        msgspec.structs.replace(
            real, id=request_id(number), sequence=number, source=f"s{number}", path=f"/srv/s{number}"
        )
        for number in range(1, SOURCES + 1)
    ]
    for entry in made:
        Entries(data).create(entry)
    with Names(data, lambda entry: things(entry.sequence, count // SOURCES)) as names:
        assert names.follow([[entry] for entry in made], lambda _: None) == []
    return made


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bk-find-"))
    try:
        begun = time.monotonic()
        build(folder / "home", given.names)
        size = (folder / "home" / "data" / "web1" / FILE).stat().st_size
        print(
            f"{given.names} names taken in within {time.monotonic() - begun:.0f} s, index {size / 1e6:.0f} MB, "
            f"{size / given.names:.0f} bytes a name"
        )
        for what, words in ASKED.items():
            argv = [sys.executable, "-I", "-m", "bkcore", "db", "find", *words]
            seconds, lines = [], 0
            for _ in range(given.runs):
                before = time.perf_counter()
                done = subprocess.run(
                    argv, capture_output=True, env={**os.environ, "BK_HOME": str(folder / "home")}, check=False
                )
                seconds.append(time.perf_counter() - before)
                lines = done.stdout.count(b"\n")
            print(f"{what}: {statistics.median(seconds):.2f} s, {lines} found")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
