"""100,000 entries of the original system, listed where they lie: whole processes, beside what the original took.

`python tests/bench/original.py [ENTRIES [SOURCES]]`. The original (Python 2.7) took 4.0 s to list 100,000 and 2.7 s for
one source of them on a machine of two cores; it does not run here, so those are not measured in this run.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes.original import name_of

_RUNS = 5
_ITS_ALL, _ITS_ONE = 4.0, 2.7


def fill(folder: Path, entries: int, sources: int) -> None:
    """Links to one object each hundred, as a store has it in which little changes."""
    begin = datetime(2013, 1, 1)  # noqa: DTZ001 - its names are local times
    for number in range(entries):
        sha256 = f"{number // 100:064x}"
        at = begin + timedelta(minutes=number)
        (folder / name_of(b"/srv/%d" % (number % sources), at, sha256).decode()).symlink_to(f"@obj_{sha256}")
        if number % 100 == 0:
            (folder / f"@obj_{sha256}").touch()


def seconds(folder: Path, *words: str) -> float:
    """Of whole processes, the median; the first one is not counted."""
    taken = []
    for _ in range(_RUNS + 1):
        begun = time.perf_counter()
        argv = [sys.executable, "-m", "bkcore", "db", "ls", *words]
        subprocess.run(argv, cwd=folder, stdout=subprocess.DEVNULL, check=True, env={**os.environ, "TZ": "UTC"})
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def main() -> None:
    entries, sources = (*map(int, sys.argv[1:]), *(100_000, 100)[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "web1" / "sftp"
        folder.mkdir(parents=True)
        fill(folder, entries, sources)
        for what, its, words in (("ls", _ITS_ALL, ()), ("ls of one source", _ITS_ONE, ("0",))):
            taken = seconds(folder, *words)
            scaled = its * entries / 100_000
            print(f"{what:<17} {entries:>9,} entries: {taken:.2f} s; the original {scaled:.2f} s: {taken / scaled:.2f}")


if __name__ == "__main__":
    main()
