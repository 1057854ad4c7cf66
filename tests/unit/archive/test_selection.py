"""Which versions a person means."""

from pathlib import Path

import pytest
from fakes.stored import server_home, store

from bkcore.archive.entries import Entries
from bkcore.archive.ranges import EVERYTHING, parse_range
from bkcore.archive.selection import Group, groups_of, in_range, of_index, of_source
from bkcore.errors import NothingMatched, UsageError
from bkcore.state import Method


@pytest.fixture
def groups(tmp_path: Path) -> list[Group]:
    home = server_home(tmp_path / "home")
    store(home, "web1", "wiki", b"/srv/wiki", "ab")
    store(home, "web1", "trac", b"/opt/trac", "aab")
    store(home, "web1", "odd", b"/srv/\xff/wiki2", "a")
    store(home, "web1", "other", b"/opt/wiki", "a", method=Method.RSYNC)
    return groups_of(Entries(home / "data" / "web1").all())


def labels(groups: list[Group]) -> list[tuple[int, str]]:
    return [(group.index, group.source) for group in groups]


def test_sources_are_numbered_in_the_order_of_their_paths(groups: list[Group]) -> None:
    assert labels(groups) == [(0, "trac"), (1, "other"), (2, "wiki"), (3, "odd")]
    assert [len(group.versions) for group in groups] == [3, 1, 2, 1]
    assert [group.method for group in groups] == [Method.SFTP, Method.RSYNC, Method.SFTP, Method.SFTP]


def test_a_source_is_named_by_its_label_or_a_unique_end_of_its_path(groups: list[Group]) -> None:
    for name in ("trac", "/opt/trac", "opt/trac"):
        assert labels(of_source(groups, name)) == [(0, "trac")]
    assert labels(of_source(groups, "wiki2")) == [(3, "odd")]
    assert labels(of_source(groups, "\udcff/wiki2")) == [(3, "odd")]
    assert labels(of_source(groups, "srv/wiki")) == [(2, "wiki")]


def test_a_label_goes_before_the_end_of_a_path(groups: list[Group]) -> None:
    assert labels(of_source(groups, "wiki")) == [(2, "wiki")]


def test_the_end_of_several_paths_is_told_with_all_of_them(groups: list[Group]) -> None:
    without = [group for group in groups if group.source != "wiki"]
    more = [*without, Group(9, "web2", "x", "git", Method.GIT, b"/home/wiki", ())]
    with pytest.raises(UsageError) as caught:
        of_source(more, "wiki/")
    assert "web1:/opt/wiki, web2:/home/wiki" in caught.value.hint


@pytest.mark.parametrize("name", ["iki", "nothing", "rac", "/"])
def test_a_part_of_a_name_is_no_name(groups: list[Group], name: str) -> None:
    with pytest.raises(NothingMatched):
        of_source(groups, name)


def test_a_near_label_is_suggested(groups: list[Group]) -> None:
    with pytest.raises(NothingMatched, match="did you mean trac"):
        of_source(groups, "trca")


def test_an_index_keeps_its_meaning_when_the_sources_are_narrowed(groups: list[Group]) -> None:
    assert labels(of_index(of_source(groups, "wiki"), "2,0", 4)) == [(2, "wiki")]
    assert labels(of_index(groups, "2,0", 4)) == [(2, "wiki"), (0, "trac")]
    with pytest.raises(NothingMatched):
        of_index(groups, "4", 4)


def test_sources_without_a_version_in_the_range_are_left_out(groups: list[Group]) -> None:
    now = groups[0].versions[0].stored_at
    assert labels(in_range(groups, parse_range(">1 23", now, utc=True))) == [(0, "trac"), (2, "wiki")]
    newest_first = in_range(groups, EVERYTHING)[0].versions
    assert [entry.sequence for entry in newest_first] == [5, 4, 3]
