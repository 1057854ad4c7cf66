"""bkdb verify and export, on versions of every method."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.mixed_store import git, mixed_home
from fakes.streams import noise

from bkcore.archive.entries import Entries
from bkcore.cli.db import db
from bkcore.cli.options import main

Run = Callable[..., tuple[int, str, str]]
SHOP, HOME, REPO = ("web1_shop_20261123T032511Z", "web1_home_20261123T032511Z", "web1_repo_20261123T032511Z")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_home(tmp_path_factory.mktemp("made") / "home")


@pytest.fixture
def home(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = shutil.copytree(made_once, tmp_path / "home", symlinks=True)
    monkeypatch.setenv("BK_HOME", str(home))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    (tmp_path / "dest").mkdir()
    return tmp_path / "dest"


@pytest.fixture
def bkdb(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(db, "bkdb", [str(word) for word in words])
        return (code, *capsys.readouterr())

    return run


def names(dest: Path) -> list[str]:
    return sorted(os.listdir(dest))


def flip(path: Path, at: int = -100) -> None:
    """Change one bit, however much the file does not want to be written."""
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def frames(home: Path) -> Path:
    return next(path for path in (home / "data" / "web1" / "sftp" / "packs").rglob("*") if path.is_file())


def kept_file(home: Path, name: str) -> Path:
    return next((home / "data" / "web1" / "rsync" / "home").rglob(name))


def largest_object(home: Path) -> Path:
    objects = (home / "data" / "web1" / "git" / "work.git" / "objects").rglob("*")
    return max((path for path in objects if path.is_file()), key=lambda path: path.stat().st_size)


def test_versions_that_are_whole_verify(bkdb: Run) -> None:
    code, out, err = bkdb("verify", "--utc")
    assert (code, err) == (0, "")
    assert out == (
        "[0] web1:/home 2026-11-23 03:25:11: ok\n"
        "[1] web1:/srv/git/work.git 2026-11-23 03:25:11: ok\n"
        "[2] web1:/srv/shop.db 2026-11-23 03:25:11: ok\n"
        "3 versions read, 0 damaged\n"
    )


@pytest.mark.parametrize(
    ("broken", "index", "named"),
    [
        (lambda home: flip(frames(home), 1000), 2, "frame "),
        (lambda home: flip(kept_file(home, "big"), 5), 0, "changed: big: "),
        (lambda home: kept_file(home, "big").unlink(), 0, "missing: big"),
        (lambda home: flip(largest_object(home)), 1, ""),
    ],
    ids=["archive", "file", "file gone", "object"],
)
def test_damage_is_named_and_ends_in_5(
    broken: Callable[[Path], None], index: int, named: str, home: Path, bkdb: Run
) -> None:
    broken(home)
    code, out, _ = bkdb("verify")
    assert code == 5
    lines = out.split("\n")
    assert [line.startswith(f"[{index}]") for line in lines if line.endswith(": DAMAGED")] == [True]
    below = [line for line in lines if line.startswith("    ")]
    assert below
    assert any(named in line for line in below)
    assert "3 versions read, 1 damaged" in out
    whole = json.loads(bkdb("verify", "--json", str(index))[1])
    assert whole["ok"] is False
    assert whole["data"]["versions"][0]["damages"]


def test_what_a_verify_found_bad_is_marked_in_the_listing_from_then_on(home: Path, bkdb: Run) -> None:
    flip(frames(home), 1000)
    assert "damaged" not in bkdb("ls")[1]
    bkdb("verify", "2")
    assert bkdb("ls")[1].count(" [2] damaged") == 1
    assert "\x1b[31m" in bkdb("ls", "--color", "always")[1]


@pytest.mark.parametrize("gone", ["sftp/manifests", "rsync/lists", "git/lists", "rsync/home", "git/work.git"])
def test_a_version_whose_parts_are_gone_is_marked_without_reading_anything(gone: str, home: Path, bkdb: Run) -> None:
    (home / "data" / "web1" / gone).rename(home / "elsewhere")
    assert bkdb("ls")[1].count(" damaged") == 1
    assert bkdb("verify")[0] == 5


def test_a_damaged_entry_makes_a_verify_fail(home: Path, bkdb: Run) -> None:
    flip(next((home / "data/web1/sftp/entries").iterdir()))
    code, out, _ = bkdb("verify")
    assert code == 5
    assert "web1: the entry 20261123T031949Z-00001-9f3c2a7b is damaged" in out
    assert "3 versions read, 1 damaged" in out


def test_a_rehearsal_reads_and_writes_nothing(bkdb: Run, home: Path, dest: Path) -> None:
    flip(frames(home), 1000)
    code, out, _ = bkdb("verify", "-n", "2", "--utc")
    assert (code, out) == (0, "[2] web1:/srv/shop.db 2026-11-23 03:25:11: would be read\n")
    code, out, _ = bkdb("-n", "export", dest, "2", "--utc")
    assert (code, out) == (0, f"[2] web1:/srv/shop.db 2026-11-23 03:25:11: would become {dest}/{SHOP}.tar.zst\n")
    assert names(dest) == []


def test_each_kind_is_given_back_in_its_usual_form(bkdb: Run, dest: Path, tmp_path: Path) -> None:
    code, out, err = bkdb("export", dest, "--verify")
    assert code == 3
    assert err.startswith("bkcore: warning: home@2026-11-23T03:25:11Z is partial: 3 things could not be read")
    assert out == f"{dest}/{HOME}\n{dest}/{REPO}.git\n{dest}/{SHOP}.tar.zst\n"
    assert names(dest) == [HOME, f"{REPO}.git", f"{SHOP}.tar.zst", f"{SHOP}.tar.zst.toml"]
    assert (dest / HOME / "big").read_bytes() == noise(100_000)
    git("clone", "-q", str(dest / f"{REPO}.git"), str(tmp_path / "clone"))
    assert (tmp_path / "clone" / "file").read_text() == "hello\n"
    assert git("-C", str(tmp_path / "clone"), "tag") == "v1\n"
    subprocess.run(f"zstd -dc {dest}/{SHOP}.tar.zst | tar -x -C {tmp_path}", shell=True, check=True)
    assert (tmp_path / "d" / "noise").read_bytes() == noise(200_000)


@pytest.mark.parametrize("form", ["tar", "tar.zst"])
def test_a_tar_of_every_kind_holds_it_and_is_described(form: str, bkdb: Run, dest: Path, tmp_path: Path) -> None:
    code, _, _ = bkdb("export", dest, "--as", form, "--verify")
    assert code == 3
    for name, inside in ((HOME, "big"), (REPO, "HEAD"), (SHOP, "d/noise")):
        path = dest / f"{name}.{form}"
        described = tomllib.loads((dest / f"{path.name}.toml").read_text())
        assert described["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (described["file"], described["form"], described["client"]) == (path.name, form, "web1")
        target = tmp_path / name
        target.mkdir()
        flags = ["--zstd"] if form == "tar.zst" else []
        subprocess.run(["tar", "-x", *flags, "-f", path, "-C", target], check=True)
        assert (target / inside).exists()
    assert (tmp_path / HOME / "sub" / "odd \udcff\n").read_bytes() == b"some text"
    git("clone", "-q", str(tmp_path / REPO), str(tmp_path / "clone"))


def test_an_archive_as_files_is_its_members(bkdb: Run, dest: Path) -> None:
    assert bkdb("export", dest, "2", "--as", "files", "--verify")[0] == 0
    top = dest / SHOP / "d"
    assert sorted(os.listdir(os.fsencode(top))) == [b"hard", b"link", b"noise", b"odd \xff\n"]
    assert (top / "hard").stat().st_ino == (top / "noise").stat().st_ino
    assert stat.S_IMODE((top / "noise").stat().st_mode) == 0o640


def test_a_name_that_is_taken_is_refused_and_nothing_is_changed(bkdb: Run, dest: Path) -> None:
    assert bkdb("export", dest, "2")[0] == 0
    before = (dest / f"{SHOP}.tar.zst").read_bytes()
    (dest / f"{SHOP}.tar.zst").write_bytes(b"mine")
    code, out, err = bkdb("export", dest, "2,1")
    assert (code, out) == (6, f"{dest}/{REPO}.git\n")
    assert "exists already\n  hint: --conflict skip, rename or overwrite\n" in err
    assert (dest / f"{SHOP}.tar.zst").read_bytes() == b"mine"
    code, out, _ = bkdb("export", dest, "2", "--conflict", "skip")
    assert (code, out) == (0, f"{dest}/{SHOP}.tar.zst (was there, left as it is)\n")
    assert (dest / f"{SHOP}.tar.zst").read_bytes() == b"mine"
    assert bkdb("export", dest, "2", "--conflict", "rename")[:2] == (0, f"{dest}/{SHOP}-1.tar.zst\n")
    assert bkdb("export", dest, "2", "--conflict", "overwrite")[0] == 0
    assert (dest / f"{SHOP}.tar.zst").read_bytes() == before


def test_overwriting_replaces_a_folder_by_a_folder(bkdb: Run, dest: Path) -> None:
    (dest / HOME / "old").mkdir(parents=True)
    assert bkdb("export", dest, "0", "--conflict", "overwrite")[0] == 3
    assert names(dest / HOME) == ["big", "sub"]
    assert names(dest) == [HOME]


def test_what_is_damaged_is_not_given_back_and_the_rest_is(bkdb: Run, home: Path, dest: Path) -> None:
    flip(frames(home), 1000)
    flip(kept_file(home, "big"), 5)
    code, out, err = bkdb("export", dest)
    assert code == 5
    assert out == f"{dest}/{REPO}.git\n"
    assert names(dest) == [f"{REPO}.git"]
    assert "bkcore: shop@2026-11-23T03:25:11Z: " in err
    assert "bkcore: home@2026-11-23T03:25:11Z: big is damaged" in err


def test_the_original_names_hold_path_time_and_sum(bkdb: Run, dest: Path, home: Path) -> None:
    assert bkdb("export", dest, "2", "--names", "original", "--as", "tar")[0] == 0
    (entry,) = [each for each in Entries(home / "data" / "web1").all() if each.source == "shop"]
    stamp = f"{entry.stored_at.astimezone():%y-%m-%d_%H_%M_%S}"
    name = f"L3Nydi9zaG9wLmRi {stamp} {hashlib.sha256((dest / names(dest)[0]).read_bytes()).hexdigest()}"
    assert names(dest) == [name, f"{name}.toml"]
    assert tarfile.is_tarfile(dest / name)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("/nonexistent/x",), 2, "/nonexistent/x is not a folder"),
        (("DEST", "7"), 4, "no source has the index 7"),
        (("DEST", ">2037-01-01"), 4, "no version in"),
        (("DEST", "--as", "zip"), 2, "Invalid value for '--as'"),
        ((), 2, "Missing argument 'DEST'"),
        (("DEST", "0", ">x"), 2, "is not a range"),
        (("DATA",), 2, "lies inside the store"),
    ],
)
def test_an_export_that_cannot_be_meant_has_its_message(
    words: tuple[str, ...], code: int, told: str, home: Path, dest: Path, bkdb: Run
) -> None:
    real = {"DEST": str(dest), "DATA": str(home / "data" / "web1" / "sftp")}
    found, out, err = bkdb("export", *[real.get(word, word) for word in words])
    assert (found, out) == (code, "")
    assert told in err
    assert "Traceback" not in err


def test_an_export_that_was_written_badly_is_found_by_reading_it_again(
    bkdb: Run, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bkcore.archive import placing, shelf

    real = placing.placed

    def bad(*arguments: object) -> object:
        made = real(*arguments)  # type: ignore[arg-type]
        flip(made.path / "big", 7)
        return made

    monkeypatch.setattr(shelf, "placed", bad)
    code, _, err = bkdb("export", dest, "0", "--verify")
    assert code == 5
    assert "big is not what was stored" in err


def test_as_json_every_export_has_its_path(bkdb: Run, dest: Path) -> None:
    whole = json.loads(bkdb("export", dest, "2", "--json")[1])
    assert (whole["ok"], whole["changed"]) == (True, True)
    (made,) = whole["data"]
    assert (made["path"], made["form"], made["skipped"]) == (f"{dest}/{SHOP}.tar.zst", "tar.zst", False)


@pytest.fixture
def stranger(home: Path) -> Iterator[None]:
    """We are somebody else for a while."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    folder = home
    for each in (folder, *folder.rglob("*")):
        os.chmod(each, 0o755)
    for above in folder.parents:
        os.chmod(above, above.stat().st_mode | 0o055) if str(above).startswith("/tmp/") else None
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_somebody_else_may_list_but_is_told_how_to_verify(stranger: None, bkdb: Run, home: Path) -> None:
    assert bkdb("ls")[0] == 0
    code, _, err = bkdb("verify")
    assert code == 6
    assert "belongs to root" in err
    assert "sudo -u root" in err


@pytest.mark.parametrize("form", ["files", "tar", "tar.zst"])
def test_some_paths_of_an_archive_come_out_alone_with_the_folders_above_them(bkdb: Run, dest: Path, form: str) -> None:
    words = ("--source", "shop", "--path", "d/hard", "--path", "/d/link", "--as", form, "--verify")
    assert bkdb("export", str(dest), *words)[0] == 0
    (made,) = (name for name in names(dest) if not name.endswith(".toml"))
    if form == "files":
        assert sorted(os.listdir(dest / made / "d")) == ["hard", "link"]
        assert (dest / made / "d" / "hard").read_bytes() == noise(200_000)
        assert (dest / made / "d" / "hard").stat().st_nlink == 1
        assert stat.S_IMODE((dest / made / "d").stat().st_mode) == 0o750
        return
    packed = (dest / made).read_bytes()
    plain = (
        subprocess.run(["zstd", "-dc"], input=packed, capture_output=True, check=True).stdout if "z" in form else packed
    )
    (dest / "plain.tar").write_bytes(plain)
    with tarfile.open(dest / "plain.tar") as tar:
        assert tar.getnames() == ["d", "d/link", "d/hard"]
    beside = tomllib.loads((dest / f"{made}.toml").read_text())
    assert beside["only"] == [{"path": "d/hard"}, {"path": "d/link"}]
    assert "archive" not in beside


def test_some_paths_of_a_directory_come_out_alone(bkdb: Run, dest: Path) -> None:
    assert bkdb("export", str(dest), "--source", "home", "--path", "sub", "--verify")[0] == 3
    assert [path.name for path in (dest / HOME).iterdir()] == ["sub"]
    assert (dest / HOME / "sub" / "odd \udcff\n").read_bytes() == b"some text"


def test_damage_elsewhere_does_not_keep_a_path_back_and_damage_in_it_does(bkdb: Run, home: Path, dest: Path) -> None:
    flip(frames(home), 50_000)
    whole = ("export", str(dest), "--source", "shop")
    assert bkdb(*whole)[0] == 5
    assert bkdb(*whole, "--path", "d/noise")[0] == 5
    assert bkdb(*whole, "--path", "d/odd \udcff\n", "--verify")[0] == 0
    assert names(dest) == [SHOP]


@pytest.mark.parametrize(
    ("source", "path"), [("shop", "nothing"), ("shop", "d/noise/x"), ("home", "su"), ("repo", "file")]
)
def test_a_path_that_is_not_there_is_said_and_nothing_is_made(bkdb: Run, dest: Path, source: str, path: str) -> None:
    code, _, err = bkdb("export", str(dest), "--source", source, "--path", path)
    assert code == 4
    assert "in that version" in err or "as a whole" in err
    assert names(dest) == []
