"""The outbox over sftp: what is there can be read whole, and nothing else exists or can be done."""

import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.errors import GateRefused
from bkcore.gate.outbox import OutboxServer

ID = b"20261123T031949Z-00042-9f3c2a7b"
INIT, OPEN, CLOSE, READ, LSTAT, FSTAT, OPENDIR, READDIR, REALPATH, STAT = 1, 3, 4, 5, 7, 8, 11, 12, 16, 17
VERSION, STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED, EXTENDED_REPLY = 2, 101, 102, 103, 104, 105, 200, 201
EOF, NO_SUCH_FILE, DENIED, FAILURE = 1, 2, 3, 4
# The second answer's handle, as the server counts them.
FIRST = struct.pack(">I", 1)


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def request(kind: int, *fields: bytes | int) -> bytes:
    body = b"".join(string(each) if isinstance(each, bytes) else struct.pack(">I", each) for each in fields)
    return struct.pack(">IBI", 5 + len(body), kind, 7) + body


def read(offset: int, size: int, handle: bytes = FIRST) -> bytes:
    body = string(handle) + struct.pack(">QI", offset, size)
    return struct.pack(">IBI", 5 + len(body), READ, 7) + body


class Talk:
    """Says requests to a server, and cuts its answers apart: (type, what follows the request's number)."""

    def __init__(self, outbox: Path, folder: Path) -> None:
        self.server = OutboxServer.on(outbox)
        self._answers = folder / "answers"

    def say(self, *requests: bytes) -> list[tuple[int, bytes]]:
        with self._answers.open("wb") as sink:
            self.server.serve(io.BytesIO(b"".join(requests)), sink.fileno())
        return list(self._cut(self._answers.read_bytes()))

    def status(self, *requests: bytes) -> list[int]:
        return [int.from_bytes(rest[:4], "big") if kind == STATUS else -kind for kind, rest in self.say(*requests)]

    def _cut(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        while data:
            length = int.from_bytes(data[:4], "big")
            yield data[4], data[9 : 4 + length]
            data = data[4 + length :]


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    folder = tmp_path / "outbox" / ID.decode()
    folder.mkdir(parents=True)
    (folder / "manifest").write_bytes(bytes(range(256)) * 2000)
    (folder / "evil").symlink_to("/etc/passwd")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "fifo")
    (folder / "UPPER").write_text("not ours")
    (tmp_path / "outbox" / "other").mkdir()
    (tmp_path / "outbox" / "other" / "manifest").write_text("not ours")
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "outbox"


@pytest.fixture
def talk(outbox: Path, tmp_path: Path) -> Talk:
    return Talk(outbox, tmp_path)


def test_a_file_is_read_in_pieces_from_any_place(talk: Talk) -> None:
    opened, part, last, end, closed = talk.say(
        request(OPEN, ID + b"/manifest", 1, 0),
        read(256, 10),
        read(511_998, 100),
        read(512_000, 1),
        request(CLOSE, FIRST),
    )
    assert opened[0] == HANDLE
    assert part == (DATA, string(bytes(range(10))))
    assert last == (DATA, string(b"\xfe\xff"))
    assert (end[0], end[1][:4]) == (STATUS, struct.pack(">I", EOF))
    assert closed[1][:4] == struct.pack(">I", 0)
    assert talk.server.refused == ""


def test_no_answer_is_longer_than_openssh_allows(talk: Talk) -> None:
    _, (kind, data) = talk.say(request(OPEN, ID + b"/manifest", 1, 0), read(0, 0xFFFFFFFF))
    assert (kind, len(data)) == (DATA, 4 + (256 << 10) - 1024)


def test_sizes_and_folders_are_told(talk: Talk, outbox: Path) -> None:
    (kind, attributes), _, _, _ = talk.say(
        request(STAT, b"/" + ID + b"/manifest"), request(LSTAT, b"."), request(STAT, ID), request(REALPATH, b"./" + ID)
    )
    assert (kind, struct.unpack(">IQ", attributes[:12])[1]) == (ATTRS, 512_000)
    _, (kind, rows), (_, end) = talk.say(request(OPENDIR, b"/"), request(READDIR, FIRST), request(READDIR, FIRST))
    assert (kind, rows[:4], rows[4:].startswith(string(ID))) == (NAME, struct.pack(">I", 1), True)
    assert end[:4] == struct.pack(">I", EOF)


def test_a_long_folder_is_told_whole(talk: Talk, outbox: Path) -> None:
    for number in range(250):
        (outbox / ID.decode() / f"pack-{number:04d}").touch()
    answers = talk.say(request(OPENDIR, ID), *[request(READDIR, FIRST)] * 4)
    told = b"".join(rest for kind, rest in answers if kind == NAME)
    assert sum(f"pack-{number:04d}".encode() in told for number in range(250)) == 250


def test_one_stands_in_the_root_and_the_root_is_the_outbox(talk: Talk) -> None:
    ((kind, rest),) = talk.say(request(REALPATH, b"."))
    assert (kind, rest) == (NAME, struct.pack(">I", 1) + string(b"/") * 2 + struct.pack(">I", 0))


@pytest.mark.parametrize(
    "path",
    [
        b"/etc/passwd",
        b"../secret",
        ID + b"/../../secret",
        b"other/manifest",
        ID + b"/UPPER",
        ID + b"/manifest/x",
        ID + b"/.hidden",
        ID + b"/manifest\0",
        ID + b"\n",
        b"/proc/self/environ",
        b"a" * 10_000,
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("kind", [OPEN, STAT, LSTAT, OPENDIR, REALPATH])
def test_no_path_leads_outside(talk: Talk, path: bytes, kind: int) -> None:
    assert talk.status(request(kind, path, 1, 0)) == [DENIED]
    assert talk.server.refused.endswith("is outside the outbox")
    assert talk.server.refused.isprintable()


@pytest.mark.parametrize("name", [b"evil", b"up", b"fifo"])
def test_only_plain_files_are_opened_and_no_link_is_followed(talk: Talk, name: bytes) -> None:
    assert talk.status(request(OPEN, ID + b"/" + name, 1, 0)) == [FAILURE]


def test_a_folder_that_is_a_link_is_not_entered(talk: Talk, outbox: Path) -> None:
    second = ID[:-1] + b"0"
    (outbox / second.decode()).symlink_to(outbox / "other")
    assert talk.status(request(OPEN, second + b"/manifest", 1, 0), request(OPENDIR, second)) == [FAILURE, FAILURE]


@pytest.mark.parametrize("flags", [0, 2, 3, 8 | 1, 0x1A, 0x10 | 1])
def test_nothing_is_opened_for_writing(talk: Talk, outbox: Path, flags: int) -> None:
    assert talk.status(request(OPEN, ID + b"/manifest", flags, 0)) == [DENIED]
    assert "open for writing" in talk.server.refused


@pytest.mark.parametrize(
    ("kind", "word"), [(6, "write"), (9, "setstat"), (10, "fsetstat"), (13, "remove"), (14, "mkdir")]
)
def test_nothing_is_changed(talk: Talk, kind: int, word: str) -> None:
    assert talk.status(request(kind, ID + b"/manifest", 0)) == [DENIED]
    assert talk.server.refused == f"sftp: {word}"


@pytest.mark.parametrize(("kind", "word"), [(15, "rmdir"), (18, "rename"), (19, "readlink"), (20, "symlink")])
def test_nothing_is_renamed_or_linked(talk: Talk, kind: int, word: str) -> None:
    assert talk.status(request(kind, ID + b"/evil", ID + b"/x")) == [DENIED]
    assert talk.server.refused == f"sftp: {word}"


@pytest.mark.parametrize(
    "name", [b"posix-rename@openssh.com", b"hardlink@openssh.com", b"expand-path@openssh.com", b"\x1b"]
)
def test_no_extension_but_the_limits_is_there(talk: Talk, name: bytes) -> None:
    assert talk.status(request(EXTENDED, name, b"a", b"b")) == [DENIED]
    assert talk.say(request(EXTENDED, b"limits@openssh.com"))[0][0] == EXTENDED_REPLY


def test_an_outbox_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    talk = Talk(tmp_path / "none", tmp_path)
    assert talk.status(request(STAT, b"/"), request(OPEN, ID + b"/manifest", 1, 0)) == [NO_SUCH_FILE, NO_SUCH_FILE]
    assert talk.server.refused == ""


def test_handles_are_counted_and_given_back(talk: Talk) -> None:
    before = len(os.listdir("/proc/self/fd"))
    status = talk.status(*[request(OPEN, ID + b"/manifest", 1, 0)] * 40)
    assert status == [-HANDLE] * 32 + [FAILURE] * 8
    closing = [request(CLOSE, struct.pack(">I", number)) for number in range(1, 41)]
    assert talk.status(*closing) == [0] * 32 + [FAILURE] * 8
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("handle", [b"", b"x", b"\0\0\0\2", b"h" * 300])
def test_handles_that_were_never_given_lead_nowhere(talk: Talk, handle: bytes) -> None:
    talk.say(request(OPEN, ID + b"/manifest", 1, 0))
    asked = [read(0, 1, handle), request(READDIR, handle), request(FSTAT, handle), request(CLOSE, handle)]
    assert set(talk.status(*asked)) <= {FAILURE, EOF}


def test_a_folder_cannot_be_read_as_a_file_nor_a_file_as_a_folder(talk: Talk) -> None:
    assert talk.status(request(OPENDIR, ID), read(0, 1)) == [-HANDLE, FAILURE]
    assert talk.status(request(OPENDIR, ID + b"/manifest"), request(OPEN, ID, 1, 0)) == [FAILURE, FAILURE]


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\0\1", b"\xff\xff\xff\xff\3", b"\0\0\0\5\3\0", b"\0", struct.pack(">IBI", 9, OPEN, 7) + b"\0\0\0\x09"],
)
def test_what_is_no_sftp_ends_the_session(talk: Talk, data: bytes) -> None:
    with pytest.raises(GateRefused, match=r"^sftp: "):
        talk.say(data)


@given(st.binary(max_size=400))
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    talk = Talk(folder / "none", folder)
    try:
        talk.say(struct.pack(">I", len(data)) + data)
    except GateRefused as refused:
        assert refused.text.startswith("sftp: ")  # noqa: PT017 - most, but not all, are refused


@given(st.sampled_from(range(21)), st.binary(max_size=60))
def test_no_request_breaks_it(tmp_path_factory: pytest.TempPathFactory, kind: int, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    talk = Talk(folder, folder)
    try:
        talk.say(struct.pack(">IBI", 5 + len(data), kind, 7) + data)
    except GateRefused:
        return
    finally:
        os.close(talk.server.root or -1)
