"""What went wrong in the original system, again over a real sshd: nothing is lost, run or called finished."""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from fakes.ssh_pair import CLIENT, SERVER, SshPair, ssh_pair
from fakes.typed import Done, typed
from fakes.world import git, make_repository

from bkcore.archive.entries import Entries, Entry
from bkcore.spool import Item
from bkcore.state import Letter
from bkcore.tick.ends import ClientEnd

Joined = Callable[[str], AbstractContextManager[SshPair]]


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    """A server and a client with these sources, given as TOML."""
    (tmp_path / "road").mkdir()
    return lambda sources: ssh_pair(tmp_path / "road", sources)


def tick(home: Path) -> Done:
    return typed("--home", str(home), "tick")


def wishes(pair: SshPair) -> Sequence[Item]:
    return ClientEnd.open(pair.client).pool(SERVER).items()


def stored(pair: SshPair) -> dict[str, Entry]:
    return {entry.source: entry for entry in Entries(pair.stored).all()}


def backed_up(pair: SshPair) -> dict[str, Entry]:
    """What is stored by label when everything was backed up; all requests have ended well."""
    assert typed("--home", str(pair.client.root), "backup", "--all").returncode == 0
    for end in (pair.client, pair.server, pair.client):
        tick(end.root)
    assert {item.letter for item in wishes(pair)} == {Letter.FINISHED}
    return stored(pair)


def exported(pair: SshPair, label: str, out: Path) -> Path:
    """A version's content as a folder."""
    out.mkdir()
    words = ("db", "export", str(out), "--client", CLIENT, "--source", label, "--as", "files")
    done = typed("--home", str(pair.server.root), *words)
    assert done.returncode == 0, done.stderr
    (folder,) = (path for path in out.iterdir() if path.is_dir())
    return folder


def test_two_repositories_of_one_base_name_are_both_there(joined: Joined, tmp_path: Path) -> None:
    for team in ("one", "two"):
        path = tmp_path / "srv" / team / "app.git"
        path.mkdir(parents=True)
        make_repository(path)
        git(path, "update-ref", f"refs/heads/of-{team}", "refs/heads/master")
    with joined(f'[source.repos]\nmodule = "git"\nbelow = ["{tmp_path}/srv"]\n') as pair:
        assert sorted(backed_up(pair)) == ["repos-one_app.git", "repos-two_app.git"]
        for team in ("one", "two"):
            clone = exported(pair, f"repos-{team}_app.git", tmp_path / f"out-{team}")
            assert f"refs/heads/of-{team}" in git(clone, "for-each-ref", "--format=%(refname)").split()


def test_two_modules_on_one_path_are_two_sources(joined: Joined, tmp_path: Path) -> None:
    path = tmp_path / "app.git"
    path.mkdir()
    make_repository(path)
    with joined(
        f'[source.history]\nmodule = "git"\npath = "{path}"\n[source.folder]\nmodule = "directories"\npath = "{path}"\n'
    ) as pair:
        found = {label: entry.module for label, entry in backed_up(pair).items()}
        assert found == {"history": "git", "folder": "directories"}
        assert "refs/heads/master" in git(exported(pair, "history", tmp_path / "out"), "show-ref")
        assert (exported(pair, "folder", tmp_path / "out2") / "HEAD").read_bytes() == (path / "HEAD").read_bytes()


# A file of SQLite has others beside it, with eight letters more.
@pytest.mark.parametrize("length", [57, 58, 200, 240])
def test_names_of_any_length_are_backed_up_and_come_back(joined: Joined, tmp_path: Path, length: int) -> None:
    name = "n" * (length - 7) + ".sqlite"
    with sqlite3.connect(tmp_path / name) as database:
        database.execute("create table item (name text)")
    database.close()
    with joined(f'[source.db]\nmodule = "sqlite"\npath = "{tmp_path}/{name}"\n') as pair:
        assert backed_up(pair)["db"].path == f"{tmp_path}/{name}"
        found = exported(pair, "db", tmp_path / "out")
        assert [path.name for path in found.iterdir()] == [name]


def test_a_fetch_that_fails_removes_nothing_and_finishes_nothing(joined: Joined, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(os.urandom(300_000))
    with joined(f'[source.tree]\nmodule = "directories"\npath = "{tmp_path}/tree"\nas = "archive"\n') as pair:
        pair.prepare("tree")
        (box,) = pair.client.outbox(SERVER).iterdir()
        pack = box / "pack-0000"
        whole = pack.read_bytes()
        pack.write_bytes(whole[: len(whole) // 2])
        tick(pair.server.root)
        tick(pair.client.root)
        assert [item.letter for item in wishes(pair)] == [Letter.SEND]
        assert sorted(path.name for path in box.iterdir()) == ["base", "manifest", "pack-0000", "request.toml"]
        assert stored(pair) == {}
        pack.write_bytes(whole)
        (item,) = wishes(pair)
        assert typed("--home", str(pair.server.root), "retry", item.id).returncode == 0
        pair.fetch()
        assert list(stored(pair)) == ["tree"]


def test_a_request_that_is_shell_text_is_never_run_and_hides_no_other(joined: Joined, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "tree").mkdir()
    text = f"sftp 13-09-05_01_35_30 backupclient@web1:/x; touch {canary}\n$(touch {canary})\n`touch {canary}`\n"
    with joined(f'[source.tree]\nmodule = "directories"\npath = "{tmp_path}/tree"\nas = "archive"\n') as pair:
        for pool in (pair.client.root / "requests" / SERVER, pair.server.root / "TODO" / CLIENT):
            pool.mkdir(parents=True, exist_ok=True)
            for name in ("Cgit:L3Nydi9naXQvYXBwLmdpdA==", "RQL3Nydi90cmFj", "Pwiki:L3Nydi93aWtp"):
                (pool / name).write_text(text)
                (pool / name).chmod(0o755)
        pair.prepare("tree")
        pair.fetch()
        assert list(stored(pair)) == ["tree"]
        assert not canary.exists()


def test_a_request_that_failed_is_not_called_finished(joined: Joined, tmp_path: Path) -> None:
    with joined(f'[source.gone]\nmodule = "directories"\npath = "{tmp_path}/none"\n') as pair:
        asked = typed("--home", str(pair.client.root), "backup", "--source", "gone").stdout.split()[0]
        for end in (pair.client, pair.server, pair.client):
            tick(end.root)
        assert Letter.FINISHED not in {item.letter for item in wishes(pair)}
        assert "finished" not in typed("--home", str(pair.client.root), "show", asked).stdout
        assert stored(pair) == {}
