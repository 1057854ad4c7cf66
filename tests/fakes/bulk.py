"""Much to back up, the same for the same seed: a database's dump that changes by rows, a tree of many files."""

import math
import random
from dataclasses import dataclass, field
from pathlib import Path

_WORDS = [
    b"%s%s" % (first, second)
    for first in b"ba ke lio mur nost pre sa til".split()
    for second in (
        b" ",
        b"ra ",
        b"n, ",
        b"ste ",
        b"kou ",
        b"ll ",
        b"ment ",
        b"x-",
        b"day\n",
        b"ri ",
        b"ver ",
        b"gan ",
        b"s. ",
        b"th ",
        b"o ",
        b"que ",
        b"lum ",
        b"e ",
        b"ia ",
        b"d ",
        b"pto ",
        b"we ",
        b"j ",
        b"fen ",
        b"zz ",
        b"um ",
        b"y ",
        b"ck ",
        b"ing ",
        b"op ",
        b"ta ",
        b"ur ",
    )
]
_EDITED_A_DAY = 10


def text(chance: random.Random, size: int) -> bytes:
    """Words without any order, which compress to about a third, and never come twice in the same order."""
    words = map(_WORDS.__getitem__, chance.randbytes(size // 5 + 16))
    return b"".join(words)[:size]


@dataclass
class Database:
    """A folder with a dump of that many rows (of about 120 bytes) and as many bytes again, by half, in other files.

    Each change() is a day: one row in a hundred is another, and ten of the files are edited.
    """

    folder: Path
    rows: int
    chance: random.Random = field(default_factory=lambda: random.Random(20261123))

    def __post_init__(self) -> None:
        (self.folder / "files").mkdir(parents=True)
        self._lines = [self._row(number) for number in range(self.rows)]
        self._count = max(self.rows // 600, _EDITED_A_DAY)
        for number in range(self._count):
            self._file(number).write_bytes(text(self.chance, self.rows * 60 // self._count))
        self._write()

    def change(self) -> None:
        """A day passes."""
        for number in self.chance.sample(range(self.rows), self.rows // 100):
            self._lines[number] = self._row(number)
        for number in self.chance.sample(range(self._count), _EDITED_A_DAY):
            data = self._file(number).read_bytes()
            at = self.chance.randrange(len(data))
            self._file(number).write_bytes(data[:at] + text(self.chance, 200) + data[at:])
        self._write()

    def _file(self, number: int) -> Path:
        return self.folder / "files" / f"upload-{number:05d}.txt"

    def _row(self, number: int) -> bytes:
        amount, account, digest = self.chance.randrange(10**6), self.chance.randrange(10**9), self.chance.randbytes(8)
        return b"(%d,'%s','user%d@example.org','%s',%d.%02d,'2026-11-%02d'),\n" % (
            number,
            digest.hex().encode(),
            account,
            text(self.chance, 40).replace(b"\n", b" "),
            amount // 100,
            amount % 100,
            amount % 28 + 1,
        )

    def _write(self) -> None:
        with (self.folder / "dump.sql").open("wb") as file:
            file.write(b"INSERT INTO orders VALUES\n")
            file.writelines(self._lines)


@dataclass
class Files:
    """A tree of that many files with so many bytes altogether, one in eight of them in what does not compress."""

    folder: Path
    count: int
    size: int
    chance: random.Random = field(default_factory=lambda: random.Random(20261123))

    def __post_init__(self) -> None:
        weights = [self.chance.lognormvariate(0, 1.5) for _ in range(self.count)]
        scale = self.size / sum(weights)
        for number, weight in enumerate(weights):
            path = self.folder / self.name(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fill(number, path, math.ceil(weight * scale))

    def name(self, number: int) -> str:
        """Where a file lies: forty in a folder, forty folders in one above."""
        return (
            f"area-{number // 1600:03d}/part-{number // 40:04d}/file-{number:06d}.{'jpg' if number % 8 == 0 else 'txt'}"
        )

    def change(self, share: int = 100) -> None:
        """One file in so many gets other content of its size."""
        for number in self.chance.sample(range(self.count), max(self.count // share, 1)):
            path = self.folder / self.name(number)
            self._fill(number, path, path.stat().st_size)

    def _fill(self, number: int, path: Path, size: int) -> None:
        path.write_bytes(self.chance.randbytes(size) if number % 8 == 0 else text(self.chance, size))
