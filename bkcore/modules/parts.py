"""Streams made of several: dumps that lie in the scratch folder, and trees, each below a folder of the archive."""

import dataclasses
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bkcore.flow import Kind, Member, Notes, Stop, Stream, check_stop

_CHUNK = 1 << 20


class Files:
    """Stream of files that are whole before it begins.

    files: where each lies, by its name in the archive. like: whose mode, owner and times they get; their own if None.
    notes: what a person should know of them.
    """

    def __init__(
        self,
        files: Mapping[bytes, Path],
        stop: Stop,
        *,
        like: os.stat_result | None = None,
        notes: Notes | None = None,
    ) -> None:
        self._files, self._stop, self._like, self._notes = files, stop, like, notes or Notes()
        self.size_hint = sum(path.stat().st_size for path in files.values())

    def __iter__(self) -> Iterator[Member]:
        for name, path in self._files.items():
            found = path.stat()
            like = self._like or found
            yield Member(
                path=name,
                kind=Kind.FILE,
                mode=stat.S_IMODE(like.st_mode),
                uid=like.st_uid,
                gid=like.st_gid,
                mtime_ns=like.st_mtime_ns,
                size=found.st_size,
                chunks=lambda path=path: self._chunks(path),  # type: ignore[misc]
            )

    def close(self) -> Notes:
        """Nothing can be left over: the files were whole before they were streamed."""
        return self._notes

    def _chunks(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while block := file.read(_CHUNK):
                check_stop(self._stop)
                yield block


@dataclass(frozen=True, slots=True)
class Part:
    """A stream as a part of another. below: the folder that its members get, b"" for none."""

    stream: Stream
    below: bytes = b""

    def members(self) -> Iterator[Member]:
        """Its members under their names in the whole. Its own "." becomes that folder."""
        for member in self.stream:
            yield (
                member
                if not self.below
                else dataclasses.replace(
                    member,
                    path=self._moved(member.path),
                    link=self._moved(member.link) if member.kind is Kind.HARDLINK else member.link,
                )
            )

    def _moved(self, path: bytes) -> bytes:
        return self.below if path == b"." else self.below + b"/" + path


class Parts:
    """Stream of several, one after the other."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self.size_hint = sum(part.stream.size_hint for part in parts)

    def __iter__(self) -> Iterator[Member]:
        for part in self._parts:
            yield from part.members()

    def close(self) -> Notes:
        """Close all of them. What the first that failed says is raised when all are closed."""
        notes, failed = [], None
        for part in self._parts:
            try:
                notes.append(part.stream.close())
            except Exception as error:  # noqa: BLE001 - it is raised when the others have let go too
                failed = failed or error
        if failed is not None:
            raise failed
        return Notes(sum(each.unread for each in notes), tuple(line for each in notes for line in each.lines))
