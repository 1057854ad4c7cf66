"""When what is around it is not as it should be: programs, mounts, users, disks, stored bytes, signals."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from fakes.door import Door
from fakes.mixed_store import mixed_home
from fakes.streams import noise
from fakes.typed import BKCORE, Done, assert_told, typed
from fakes.ways import fingerprint
from fakes.world import SERVER_PORT, Pair

from bkcore.archive.entries import Entries
from bkcore.state import Letter
from bkcore.tick.ends import ClientEnd

pytestmark = pytest.mark.timeout(120)


def tick(home: Path, **environ: str) -> Done:
    return typed("--home", str(home), "tick", environ=environ)


def without(folder: Path, program: str) -> str:
    """A PATH with everything that there is but one program."""
    folder.mkdir()
    for place in os.environ["PATH"].split(":"):
        for found in Path(place).iterdir() if Path(place).is_dir() else ():
            if found.name != program and not (folder / found.name).exists():
                (folder / found.name).symlink_to(found)
    return str(folder)


def stored(pair: Pair) -> list[str]:
    return [entry.source for entry in Entries(pair.server.client_data("web1")).all()]


def ask(pair: Pair, source: str) -> str:
    return typed("--home", str(pair.client.root), "backup", "--source", source).stdout.split()[0]


def show(home: Path, request: str) -> str:
    return typed("--home", str(home), "show", request).stdout


# --- programs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("program", "source"), [("rsync", "tree"), ("git", "project")])
def test_a_program_that_is_missing_on_the_server_is_said_and_it_goes_on_when_it_is_there(
    pair: Pair, tmp_path: Path, program: str, source: str
) -> None:
    request = ask(pair, source)
    assert tick(pair.client.root).returncode == 0
    assert typed("--home", str(pair.server.root), "extract", "web1").returncode == 0
    done = tick(pair.server.root, PATH=without(tmp_path / "bin", program))
    assert_told(done, 2, f"the program {program} is not installed", "apt-get install")
    assert f"the program {program} is not installed" in show(pair.server.root, request)
    assert stored(pair) == []
    assert typed("--home", str(pair.server.root), "retry", request).returncode == 0
    assert tick(pair.server.root).returncode == 0
    assert stored(pair) == [source]


@pytest.mark.parametrize("program", ["git", "ssh"])
def test_a_program_that_is_missing_on_the_client_is_said_and_it_goes_on_when_it_is_there(
    pair: Pair, tmp_path: Path, program: str
) -> None:
    request = ask(pair, "db")
    own_ssh = "" if program == "ssh" else str(pair.door.program)
    done = tick(pair.client.root, PATH=without(tmp_path / "bin", program), BK_SSH=own_ssh)
    assert_told(done, 2, f"the program {program} is not installed", "apt-get install")
    assert f"the program {program} is not installed" in show(pair.client.root, request)
    backup = typed(*("--home", str(pair.client.root), "backup", "--source", "db", "--wait", "--timeout", "1s"))
    assert backup.returncode == 8  # nobody at the server worked on it
    assert tick(pair.server.root).returncode == 0
    assert stored(pair) == ["db"]


# --- mounts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [None, "another\n"])
@pytest.mark.parametrize("words", ["tick", "extract web1", "db ls --client web1", "db verify"])
def test_on_a_server_whose_data_are_not_mounted_nothing_is_done(pair: Pair, words: str, mark: str | None) -> None:
    volume = pair.server.data / ".volume"
    volume.unlink()
    if mark is not None:
        volume.write_text(mark)
    before = fingerprint(pair.server.root)
    done = typed("--home", str(pair.server.root), *words.split())
    assert_told(done, done.returncode, "is its file system mounted?", "mount it; nothing was written")
    assert done.returncode != 0
    assert fingerprint(pair.server.root) == before


def test_on_a_client_whose_disk_is_not_mounted_nothing_is_done(pair: Pair) -> None:
    (pair.client.root / ".volume").unlink()
    before = fingerprint(pair.client.root)
    for words in (["tick"], ["backup", "--all"]):
        done = typed("--home", str(pair.client.root), *words)
        assert done.returncode != 0
        assert_told(done, done.returncode, "is its file system mounted?")
    assert fingerprint(pair.client.root) == before


# --- users -----------------------------------------------------------------------------------------------------------


@pytest.mark.needs_root
@pytest.mark.parametrize("words", ["tick", "backup --source db"])
def test_started_as_the_wrong_user_it_says_the_right_command_line(pair: Pair, words: str) -> None:
    os.chown(pair.client.root, 65534, 65534)
    done = typed("--home", str(pair.client.root), *words.split())
    assert_told(done, 6, "nobody", words.split(maxsplit=1)[0])
    hint = done.stderr.splitlines()[-1]
    assert f"bkcore --home {pair.client.root} {words}" in hint or f"{words}" in hint
    assert "nobody" in hint


# --- disks -----------------------------------------------------------------------------------------------------------


def on_a_disk(folder: Path, options: str) -> list[str]:
    """A program's words: run what follows with another disk mounted there, which nobody else sees."""
    return ["unshare", "--mount", "sh", "-c", f'mount {options} "$0" && exec "$@"', str(folder)]


@pytest.mark.needs_root
def test_a_full_disk_is_said_nothing_is_lost_and_the_next_tick_with_room_finishes_the_work(pair: Pair) -> None:
    (pair.sources.tree / "large").write_bytes(noise(3_000_000))
    request = ask(pair, "tree")
    tick(pair.client.root)
    assert typed("--home", str(pair.server.root), "extract", "web1").returncode == 0
    data = pair.server.client_data("web1")
    data.mkdir(parents=True, exist_ok=True)
    full = on_a_disk(data, "-t tmpfs -o size=1m none")
    done = typed("--home", str(pair.server.root), "tick", before=full)
    assert_told(done, 1, "no room", "free some space; the work goes on by itself")
    assert "no-space" in show(pair.server.root, request)
    assert stored(pair) == []
    assert typed("--home", str(pair.server.root), "retry", request).returncode == 0
    assert tick(pair.server.root).returncode == 0
    assert stored(pair) == ["tree"]


@pytest.mark.needs_root
def test_a_full_outbox_on_the_client_is_said_and_prepared_when_there_is_room(pair: Pair) -> None:
    request = ask(pair, "db")
    pair.client.outbox("main").mkdir(parents=True, exist_ok=True)
    full = on_a_disk(pair.client.outbox("main"), "-t tmpfs -o size=4k none")
    done = typed("--home", str(pair.client.root), "tick", before=full)
    assert_told(done, 1, "no room", "free some space; the work goes on by itself")
    assert "no-space" in show(pair.client.root, request)
    assert typed("--home", str(pair.client.root), "retry", request).returncode == 0
    assert tick(pair.client.root).returncode == 0
    pool = ClientEnd.open(pair.client).pool("main")
    assert [item.letter for item in pool.items()] == [Letter.SEND]


@pytest.mark.needs_root
@pytest.mark.parametrize("words", ["tick", "backup --source db"])
def test_a_read_only_disk_is_said(pair: Pair, words: str) -> None:
    home = pair.client.root
    frozen = on_a_disk(home, "-o bind,ro " + str(home))
    done = typed("--home", str(home), *words.split(), before=frozen)
    assert_told(done, 1, "Read-only file system")


# --- stored bytes ----------------------------------------------------------------------------------------------------


def test_a_damaged_pack_ends_verify_and_its_export_in_5_and_everything_else_comes_back(tmp_path: Path) -> None:
    home = mixed_home(tmp_path / "home")
    (pack,) = (home / "data" / "web1" / "sftp" / "packs").glob("*/*")
    data = bytearray(pack.read_bytes())
    data[len(data) // 3] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)
    out = tmp_path / "out"
    out.mkdir()
    verified = typed("--home", str(home), "db", "verify")
    assert (verified.returncode, verified.stderr) == (5, "")
    assert "damaged members: d/noise" in verified.stdout
    assert verified.stdout.endswith("3 versions read, 1 damaged\n")
    assert_told(typed("--home", str(home), "db", "export", str(out), "--client", "web1", "--source", "shop"), 5)
    assert list(out.iterdir()) == []
    for source in ("home", "repo"):
        done = typed("--home", str(home), "db", "export", str(out), "--client", "web1", "--source", source)
        assert done.returncode in (0, 3), done.stderr
    assert {path.name.split("_")[1] for path in out.iterdir()} == {"home", "repo"}


def test_a_damaged_entry_is_named_and_hides_no_other(tmp_path: Path) -> None:
    home = mixed_home(tmp_path / "home")
    (entry,) = (home / "data" / "web1" / "sftp" / "entries").iterdir()
    entry.chmod(0o600)
    entry.write_bytes(entry.read_bytes()[:-20])
    done = typed("--home", str(home), "db", "ls", "--client", "web1")
    assert "/home" in done.stdout
    verified = typed("--home", str(home), "db", "verify")
    assert (verified.returncode, verified.stderr) == (5, "")
    assert entry.name in verified.stdout


# --- signals and pipes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tried", [False, True])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_long_verb_that_is_ended_says_so_and_what_was_asked_for_goes_on(
    pair: Pair, door: Door, number: signal.Signals, code: int, tried: bool
) -> None:
    door.shut(SERVER_PORT)
    argv = [*BKCORE, "--home", str(pair.client.root), "backup", "--source", "db", "--wait"]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    assert "to send" in child.stderr.readline()
    if tried:
        assert "cannot be reached" in child.stderr.readline()
    child.send_signal(number)
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out) == (code, "")
    assert "Traceback" not in err
    (item,) = ClientEnd.open(pair.client).pool("main").items()
    assert item.letter is Letter.SEND
    door.open(SERVER_PORT, pair.server.root)
    typed("--home", str(pair.client.root), "tick")


def test_a_reader_that_goes_away_is_no_fault_of_anybody(tmp_path: Path) -> None:
    home = mixed_home(tmp_path / "home")
    shell = f"{' '.join(BKCORE)} --home {home} db ls --client web1 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode in (0, 141)
