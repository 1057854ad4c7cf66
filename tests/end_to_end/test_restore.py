"""A client reads its own versions back, by its server's rules, over a line that may break, and each takes its place."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.proxy import Proxy
from fakes.ssh_pair import SshPair, ssh_pair
from fakes.typed import assert_told, typed
from fakes.world import git, make_sources

from bkcore import journal
from bkcore.archive.entries import Entries, Entry

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class World:
    """A client with sources of each method that were backed up once. proxy: its way to the server."""

    pair: SshPair
    folder: Path
    proxy: Proxy

    def restore(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return typed("--home", str(self.pair.client.root), "restore", *words)

    @contextmanager
    def breaking(self, after: int) -> Iterator[None]:
        """Each connection to the server breaks after so many bytes."""
        self.proxy.limits["down"] = after
        try:
            yield
        finally:
            self.proxy.limits.clear()

    def entry(self, label: str) -> Entry:
        return next(entry for entry in Entries(self.pair.stored).all() if entry.source == label)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("restore")
    sources = make_sources(folder)
    shutil.copytree(sources.tree, folder / "papers", symlinks=True)
    (folder / "papers" / "sub" / "hard").unlink()
    (folder / "papers" / "sub" / "hard").hardlink_to(folder / "papers" / "sub" / "deep.txt")
    for number in range(20):
        (folder / "papers" / f"page{number}").write_bytes(noise(number))
    (folder / "work").mkdir()
    git(folder / "work", "clone", "-q", str(sources.repository), ".")
    toml = f"""{sources.toml}
[source.papers]
module = "directories"
path = "{folder}/papers"
as = "archive"
[source.work]
module = "git"
path = "{folder}/work"
[source.list]
module = "command"
run = "/bin/ls /"
"""
    with ssh_pair(folder / "pair", toml) as pair:
        proxy = Proxy(pair.at_server.port)
        told = pair.client.config.read_text()
        pair.client.config.write_text(told.replace(f":{pair.at_server.port}/", f":{proxy.port}/"))
        for label in ("project", "tree", "db", "papers", "work", "list"):
            pair.prepare(label)
        pair.fetch()
        yield World(pair, folder, proxy)
        proxy.close()


def noise(number: int) -> bytes:
    """The content of a page, which does not get smaller on the line."""
    return random.Random(number).randbytes(100_000)


def listed(top: Path) -> dict[bytes, tuple[int, int, bytes]]:
    """All below a folder: mode, time, and content or target."""
    found = {}
    for here, folders, files in os.walk(bytes(top)):
        for name in (*folders, *files):
            path = os.path.join(here, name)
            about = os.lstat(path)
            if os.path.islink(path):
                held = os.readlink(path)
            else:
                held = b"" if os.path.isdir(path) else Path(os.fsdecode(path)).read_bytes()
            found[os.path.relpath(path, bytes(top))] = (about.st_mode, about.st_mtime_ns, held)
    return found


def test_what_the_server_has_is_listed_as_it_can_be_asked_for(world: World, tmp_path: Path) -> None:
    done = world.restore("--utc")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6
    line = next(line for line in done.stdout.splitlines() if line.startswith('"db@'))
    done = world.restore(line.split('"')[1], "--utc", "--into", str(tmp_path))
    assert done.returncode == 0, done.stderr
    listed = json.loads(world.restore("--json").stdout)["data"]
    assert [each["version"] for each in listed].count(world.entry("db").version) == 1
    assert not any(each["damaged"] for each in listed)


def test_what_would_be_done_is_shown_step_by_step_and_nothing_is_done(world: World) -> None:
    before = sorted(path.name for path in world.folder.iterdir())
    done = world.restore("tree", "-n")
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    assert shown[0].startswith("tree@")
    assert shown[-1].endswith(f"{world.folder}/restored-{world.entry('tree').id}")
    assert sorted(path.name for path in world.folder.iterdir()) == before


@pytest.mark.parametrize("label", ["tree", "papers"])
def test_a_directory_comes_back_beside_and_in_its_place_with_names_modes_and_times(world: World, label: str) -> None:
    place, wanted = world.folder / label, listed(world.folder / label)
    done = world.restore(label)
    assert done.returncode == 0, done.stderr
    assert listed(world.folder / f"restored-{world.entry(label).id}") == wanted
    (place / "sub" / "deep.txt").write_text("changed\n")
    done = world.restore(label, "--in-place", "--yes")
    assert done.returncode == 0, done.stderr
    assert listed(place) == wanted
    assert os.path.samefile(place / "sub" / "deep.txt", place / "sub" / "hard")
    kept = place.with_name(f"{label}.before-{world.entry(label).id}")
    assert (kept / "sub" / "deep.txt").read_text() == "changed\n"


def test_a_repository_takes_its_place_and_keeps_what_only_its_machine_knows(world: World) -> None:
    place = world.folder / "git" / "project.git"
    git(place, "config", "remote.other.url", "https://example.org/x.git")
    git(place, "update-ref", "-d", "refs/heads/topic")
    done = world.restore("project", "--in-place", "--yes")
    assert done.returncode == 0, done.stderr
    assert git(place, "rev-parse", "topic", "v1^{commit}") == git(place, "rev-parse", "master~1", "master~1")
    assert git(place, "config", "remote.other.url").strip() == "https://example.org/x.git"
    git(place, "fsck", "--strict")


def test_the_repository_of_a_work_tree_comes_back_under_its_files(world: World) -> None:
    tree = world.folder / "work"
    (tree / "README").write_text("not committed\n")
    shutil.rmtree(tree / ".git")
    done = world.restore("work", "--in-place", "--yes")
    assert done.returncode == 0, done.stderr
    git(tree, "reset", "-q")
    assert git(tree, "status", "--short").splitlines() == [" M README"]
    assert (tree / "README").read_text() == "not committed\n"


def test_a_database_in_a_file_takes_its_place_and_the_old_one_keeps_its_journal(world: World) -> None:
    place = world.folder / "db" / "shop.sqlite"
    with sqlite3.connect(place) as changed:
        changed.execute("pragma journal_mode = wal")
        changed.execute("delete from item")
        changed.commit()
        done = world.restore("db", "--in-place", "--yes")
    assert done.returncode == 0, done.stderr
    changed.close()
    kept = place.with_name(f"{place.name}.before-{world.entry('db').id}")
    for path, count in ((place, 50), (kept, 0)):
        with sqlite3.connect(path) as database:
            assert database.execute("select count(*) from item").fetchone() == (count,)
        database.close()


def test_the_output_of_a_command_has_no_place_and_comes_back_into_a_folder(world: World, tmp_path: Path) -> None:
    assert_told(world.restore("list", "--in-place", "--yes"), 2, "no place of its own", "--into DIR")
    done = world.restore("list", "--into", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert "etc" in (tmp_path / "new" / "list" / "output").read_text().splitlines()


def test_all_sources_come_back_into_one_folder_each_under_its_label(world: World, tmp_path: Path) -> None:
    done = world.restore("--all", "--into", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["data"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db", "list", "papers", "project", "tree", "work"]
    assert {each["source"]: each["into"] for each in data} == {path.name: str(path) for path in tmp_path.iterdir()}


def test_a_name_that_is_taken_is_refused_skipped_renamed_or_overwritten_as_it_is_said(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "mine").write_text("mine\n")
    into = ("db", "--into", str(tmp_path))
    assert_told(world.restore(*into), 6, "exists already", "--conflict")
    assert "stays as it is" in world.restore(*into, "--conflict", "skip").stdout
    assert (tmp_path / "db" / "mine").exists()
    assert world.restore(*into, "--conflict", "rename").returncode == 0
    assert (tmp_path / "db-1" / "shop.sqlite").exists()
    assert world.restore(*into, "--conflict", "overwrite").returncode == 0
    assert [path.name for path in (tmp_path / "db").iterdir()] == ["shop.sqlite"]


def test_a_line_that_breaks_again_and_again_is_gone_on_with_where_it_was(world: World, tmp_path: Path) -> None:
    with world.breaking(700_000):
        done = world.restore("papers", "--into", str(tmp_path))
    assert done.returncode == 0, done.stderr
    for number in range(20):
        assert (tmp_path / "papers" / f"page{number}").read_bytes() == noise(number)
    reads = [event for event in journal.read(world.pair.server.root) if event["event"] == "version read"]
    assert sum(bool(event["start"]) for event in reads if event["id"] == world.entry("papers").id) >= 2


def test_a_line_that_stays_broken_is_told_and_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    with world.breaking(60_000):
        done = world.restore("papers", "--into", str(tmp_path))
    assert_told(done, 7, "main")
    assert list(tmp_path.iterdir()) == []


def test_what_lies_where_a_version_is_unpacked_first_goes_and_a_link_there_is_not_followed(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "mine" / "below").mkdir(parents=True)
    (tmp_path / "mine" / "below").chmod(0o755)
    into = tmp_path / "into"
    into.mkdir()
    staged = into / f".restoring-{world.entry('db').id}"
    staged.symlink_to(tmp_path / "mine")
    assert world.restore("db", "--into", str(into)).returncode == 0
    assert (tmp_path / "mine" / "below").stat().st_mode & 0o777 == 0o755
    staged.mkdir()
    (staged / "left").touch()
    assert world.restore("db", "--into", str(into), "--conflict", "rename").returncode == 0
    assert sorted(path.name for path in into.iterdir()) == ["db", "db-1"]


def test_a_wrong_wish_is_told(world: World, tmp_path: Path) -> None:
    assert_told(world.restore("nothing"), 4, "no source nothing")
    assert_told(world.restore("tree@2001-01-01"), 4, "no version tree@2001-01-01")
    assert_told(world.restore("--all", "--at", "2001-01-01"), 4, "no version of this client up to 2001-01-01")
    assert_told(world.restore("web2:tree"), 4, "this is web1, and not web2")
    assert_told(world.restore("tree", "--all"), 2, "exclude each other")
    assert_told(world.restore("tree", "--at", "yesterday"), 2, "--at yesterday is no date", "--at 2026-11-20")
    (tmp_path / "file").touch()
    assert_told(world.restore("tree", "--into", str(tmp_path / "file")), 2, "is no folder")
    assert_told(world.restore("tree", "--in-place", "--into", "/"), 2, "exclude each other")
    assert_told(world.restore("tree", "--in-place"), 2, "no terminal to ask on")
    assert_told(world.restore("list"), 2, "nothing of list@", "--into DIR")
    assert_told(world.restore("tree", "--database-only", "--into", str(tmp_path)), 2, "nothing of tree@")
    at_server = typed("--home", str(world.pair.server.root), "restore", "tree", "--into", str(tmp_path))
    assert_told(at_server, 2, "a server's home", "bkdb export")


def test_a_client_whose_rules_do_not_say_so_reads_nothing_and_every_reading_is_in_the_journal(world: World) -> None:
    record = world.pair.server.record("web1")
    before = record.read_text()
    record.write_text(before.replace('restore = "self"', 'restore = "no"'))
    try:
        assert_told(world.restore("tree"), 6, "web1 may not read its versions", 'restore = "self"')
    finally:
        record.write_text(before)
    assert world.restore("tree", "-n", "--conflict", "rename").returncode == 0
    events = list(journal.read(world.pair.server.root))[-2:]
    assert [event["event"] for event in events] == ["versions listed", "version read"]
    assert events[-1]["id"] == world.entry("tree").id
    assert "backupclient@web1" in events[-1]["actor"]


def test_damage_at_the_server_is_told_and_nothing_is_put_anywhere(world: World, tmp_path: Path) -> None:
    kept = world.pair.stored / "rsync" / "tree" / world.entry("tree").id / "sub" / "deep.txt"
    before = kept.read_bytes()
    kept.chmod(0o600)
    kept.write_bytes(b"bad!\n")
    try:
        assert_told(world.restore("tree", "--into", str(tmp_path)), 5, "deep.txt is damaged", "tree@~1")
    finally:
        kept.write_bytes(before)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_this_machine_does_not_name_comes_back_as_files(world: World, tmp_path: Path) -> None:
    told = world.pair.client.config.read_text()
    world.pair.client.config.write_text(
        told.replace("[source.db]", "[source.other]").replace("shop.sqlite", "x.sqlite")
    )
    try:
        assert_told(world.restore("db"), 2, "db is no source of this machine", "[source.db]")
        done = world.restore("db", "--into", str(tmp_path))
    finally:
        world.pair.client.config.write_text(told)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "db" / "shop.sqlite").exists()
