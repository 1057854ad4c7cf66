"""Exports are ordinary files and folders: whole, checked and durable, or not there."""

import errno
import hashlib
import os
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fakes.streams import (
    NOW,
    carry,
    claim_of,
    entry_of,
    file,
    folder,
    hardlink,
    noise,
    prepare,
    request_id,
    store,
    symlink,
)

from bkcore import durable
from bkcore.archive import reader
from bkcore.archive.entries import Entry
from bkcore.archive.export import export_archive
from bkcore.archive.ingest import ArchiveIntake
from bkcore.archive.placing import Conflict, Exported, Form, export_name
from bkcore.archive.vault import Vault, pack_key
from bkcore.errors import AlreadyThere, BkError, Damaged, Malformed, Missing, NoSpace, NothingMatched, Stopped
from bkcore.flow import Fetched, Never, Stop

AWKWARD = [b"two words", b"line\nbreak", b"\xff\xfe", "bidi \u202e".encode(), b"n" * 200, b"esc\x1b[1m"]
MEMBERS = [
    folder(b"d"),
    file(b"d/noise", noise(300_000), mode=0o4640),
    *[file(b"d/" + name, name) for name in AWKWARD],
    symlink(b"d/link", b"noise"),
    hardlink(b"d/hard", b"d/noise"),
    file(b"zeros", bytes(500_000)),
    file(b"empty"),
]
NAME = "web1_shop_20261123T032511Z"
FORMS = [form for form in Form if form is not Form.ORIGINAL]


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return store(tmp_path, 1, MEMBERS)


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    (tmp_path / "dest").mkdir()
    return tmp_path / "dest"


def export(
    root: Path, entry: Entry, dest: Path, form: Form, conflict: Conflict = Conflict.REFUSE, stop: Stop | None = None
) -> Exported:
    with Vault.open(root / "sftp", lambda: NOW) as vault:
        return export_archive(vault, entry, dest, form, tell=lambda _: None, stop=stop or Never(), conflict=conflict)


def tree(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """What is below a folder: type and mode, size, time in seconds, content or target."""
    found: dict[bytes, tuple[object, ...]] = {}
    for above, folders, files in os.walk(os.fsencode(folder)):
        for name in folders + files:
            path = os.path.join(above, name)
            info = os.lstat(path)
            inside = os.readlink(path) if stat.S_ISLNK(info.st_mode) else b""
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as opened:
                    inside = opened.read()
            mode = info.st_mode & ~0o6000
            found[os.path.relpath(path, os.fsencode(folder))] = (mode, info.st_nlink, info.st_mtime_ns // 10**9, inside)
    return found


def test_all_three_forms_hold_the_same(tmp_path: Path, entry: Entry, dest: Path) -> None:
    packed = export(tmp_path, entry, dest, Form.TAR_ZST).path
    plain = export(tmp_path, entry, dest, Form.TAR).path
    files = export(tmp_path, entry, dest, Form.FILES).path
    assert [packed.name, plain.name, files.name] == [f"{NAME}.tar.zst", f"{NAME}.tar", NAME]
    data = subprocess.run(["zstd", "-dc", packed], capture_output=True, check=True).stdout
    assert data == plain.read_bytes()
    (tmp_path / "x").mkdir()
    done = subprocess.run(
        f"zstd -dc {packed} | tar -xf - -C {tmp_path / 'x'}", shell=True, capture_output=True, check=True
    )
    assert done.stderr == b""
    assert tree(tmp_path / "x") == tree(files)
    assert len(tree(files)) == len(MEMBERS)
    assert os.stat(os.fsencode(files) + b"/d/noise").st_mtime_ns % 10**9 != 0
    assert sorted(os.listdir(dest)) == sorted(
        [files.name, *(p.name + end for p in (packed, plain) for end in ("", ".toml"))]
    )


def test_the_stored_frames_are_given_out_as_they_are(tmp_path: Path, entry: Entry, dest: Path) -> None:
    packed = export(tmp_path, entry, dest, Form.TAR_ZST).path
    stored = (tmp_path / "sftp" / pack_key(f"{request_id(1)}-0000")).read_bytes()
    assert packed.read_bytes()[:100_000] == stored[:100_000]


@pytest.mark.parametrize("form", [Form.TAR_ZST, Form.TAR])
def test_what_lies_beside_it_says_what_it_is(tmp_path: Path, entry: Entry, dest: Path, form: Form) -> None:
    path = export(tmp_path, entry, dest, form).path
    told = tomllib.loads((dest / f"{path.name}.toml").read_text())
    assert told["format"] == 1
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (told["file"], told["client"], told["source"], told["path"]) == (path.name, "web1", "shop", "/srv/shop.db")
    assert (told["stored-at"], told["archive"]["root"], told["archive"]["size"]) == (NOW, entry.root, entry.size)


@pytest.mark.parametrize("form", FORMS)
def test_a_name_that_is_taken_is_refused(tmp_path: Path, entry: Entry, dest: Path, form: Form) -> None:
    first = export(tmp_path, entry, dest, form)
    with pytest.raises(AlreadyThere):
        export(tmp_path, entry, dest, form)
    assert export(tmp_path, entry, dest, form, Conflict.SKIP) == Exported(first.path, skipped=True)
    ending = "" if form is Form.FILES else f".{form.value}"
    renamed = [export(tmp_path, entry, dest, form, Conflict.RENAME).path.name for _ in range(2)]
    assert renamed == [f"{NAME}-1{ending}", f"{NAME}-2{ending}"]


@pytest.mark.parametrize("form", FORMS)
def test_overwriting_puts_the_new_one_in_its_place(tmp_path: Path, entry: Entry, dest: Path, form: Form) -> None:
    good = export(tmp_path, entry, dest, form).path
    before = good.read_bytes() if good.is_file() else tree(good)
    if good.is_dir():
        (good / "stranger").write_bytes(b"x")
    else:
        good.write_bytes(b"x")
    assert export(tmp_path, entry, dest, form, Conflict.OVERWRITE).path == good
    assert (good.read_bytes() if good.is_file() else tree(good)) == before


@pytest.mark.parametrize("form", FORMS)
def test_a_link_on_the_name_is_never_followed(tmp_path: Path, entry: Entry, dest: Path, form: Form) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    link = dest / export_name(entry, form)
    for target in (precious, tmp_path / "nowhere"):
        link.symlink_to(target)
        with pytest.raises(AlreadyThere):
            export(tmp_path, entry, dest, form)
        export(tmp_path, entry, dest, form, Conflict.OVERWRITE)
        assert not link.is_symlink()
        shutil.rmtree(dest)
        dest.mkdir()
    assert precious.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_archive_is_not_exported_and_its_frame_leaves_the_index(
    tmp_path: Path, entry: Entry, dest: Path, form: Form
) -> None:
    with (tmp_path / "sftp" / pack_key(f"{request_id(1)}-0000")).open("r+b") as pack:
        pack.seek(100_000)
        pack.write(b"\0\0\0\0")
    with pytest.raises(Damaged, match=request_id(1)):
        export(tmp_path, entry, dest, form)
    assert os.listdir(dest) == []
    with pytest.raises(Missing):
        export(tmp_path, entry, dest, form)
    assert list((tmp_path / "sftp" / "damaged").iterdir())


@pytest.mark.parametrize("form", FORMS)
def test_a_bad_copy_does_not_hinder_when_there_is_a_good_one(
    tmp_path: Path, entry: Entry, dest: Path, form: Form
) -> None:
    second = store(tmp_path, 2, MEMBERS)
    with (tmp_path / "sftp" / pack_key(f"{request_id(2)}-0000")).open("r+b") as pack:
        pack.seek(100_000)
        pack.write(b"\0\0\0\0")
    path = export(tmp_path, second, dest, form).path
    if form is Form.TAR_ZST:
        subprocess.run(["zstd", "-tq", path], check=True)


@pytest.mark.parametrize("form", FORMS)
def test_a_stopped_export_leaves_nothing(
    tmp_path: Path, entry: Entry, dest: Path, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_JOB", 4096)  # so that there is more than one portion

    class Stop:
        left = 5

        def is_set(self) -> bool:
            self.left -= 1
            return self.left < 0

    with pytest.raises(Stopped):
        export(tmp_path, entry, dest, form, stop=Stop())
    assert os.listdir(dest) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, entry: Entry, dest: Path, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Vault.open(tmp_path / "sftp") as vault:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(NoSpace):
            export_archive(vault, entry, dest, form, tell=lambda _: None, stop=Never())
    assert os.listdir(dest) == []


@pytest.mark.parametrize("form", FORMS)
def test_it_is_durable_before_it_is_seen(
    tmp_path: Path, entry: Entry, dest: Path, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    for name in ("_sync", "_sync_all", "_link", "_rename"):

        def step(*args: object, real: object = getattr(durable, name), name: str = name) -> None:
            real(*args)  # type: ignore[operator]
            if dest == Path(str(args[-1] if name in ("_link", "_rename") else args[0])).parent or args[0] == dest:
                steps.append(name)

        monkeypatch.setattr(durable, name, step)
    export(tmp_path, entry, dest, form)
    if form is Form.FILES:
        assert steps == ["_sync_all", "_rename", "_sync"]
    else:  # the file, then what describes it, then its name
        assert steps == ["_sync", "_rename", "_sync", "_rename", "_sync"]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_the_claimed_stream_is_not_exported(tmp_path: Path, dest: Path, form: Form) -> None:
    prepared = prepare(tmp_path / "out", MEMBERS)
    path = tmp_path / "out" / "manifest"
    path.write_bytes(path.read_bytes().replace(prepared.stream_sha256.encode(), b"0" * 64))
    claim = msgspec.structs.replace(claim_of(prepared), stream_sha256="0" * 64)
    into = ArchiveIntake(tmp_path / "sftp", request_id(1), claim)
    carry(tmp_path / "out", into)
    with pytest.raises(Damaged, match="sha256"):
        export(tmp_path, entry_of(into.finish(Fetched(0)), 1), dest, form)
    assert os.listdir(dest) == []


def test_a_folder_that_is_none_is_said(tmp_path: Path, entry: Entry) -> None:
    with pytest.raises(NothingMatched):
        export(tmp_path, entry, tmp_path / "none", Form.TAR)


def test_a_hostile_archive_writes_nothing_outside(tmp_path: Path, dest: Path) -> None:
    """What passes the intake, because every path in it is a good one by itself."""
    outside = tmp_path / "outside"
    outside.mkdir()
    members = [symlink(b"way", os.fsencode(outside)), file(b"way/evil", b"x")]
    entry = store(tmp_path, 2, members)
    with pytest.raises(Malformed):
        export(tmp_path, entry, dest, Form.FILES)
    assert os.listdir(outside) == []
    assert os.listdir(dest) == []
    assert export(tmp_path, entry, dest, Form.TAR).path.exists()


def test_a_destination_that_cannot_be_written_is_said(
    tmp_path: Path, entry: Entry, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> Iterator[None]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(durable, "NewFile", refused)
    with pytest.raises(BkError, match="Permission denied"):
        export(tmp_path, entry, dest, Form.TAR)
