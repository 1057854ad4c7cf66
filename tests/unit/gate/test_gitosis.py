"""gitosis.conf: both forms say the same, faults are named with their lines, nothing is taken that is not understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.errors import ConfigError
from bkcore.gate.access import Rank, Right
from bkcore.gate.gitosis import parse_access

PLAIN = """
# a comment
[gitosis]
loglevel = INFO

[group gitosis-admin]
writable = gitosis-admin
members = alice @ops

[group ops]
members = bob
    carol   ; goes on here
bkrole = operator

[group web]
members = backupclient@web1 backupclient@web2
writable = web1
readonly = web2
map writable old-web1 = web1

[repo web1]
description = the first
"""

VARIANT = """
gitosis
\tloglevel = INFO
\textProps = scripts/utils/backupProp.py
@gitosis-admin = alice @ops
@ops = bob "carol"
bkrole @ops = operator
@web = backupclient@web1 backupclient@web2   # both
repo gitosis-admin
\tRW+ = @gitosis-admin
repo web1
\tRW+ = @web
\tpath_regex = ^web1(-.*)?$
repo web2
\tR = @web
"""


@pytest.mark.parametrize("text", [PLAIN, VARIANT])
def test_both_forms_grant_the_same(text: str) -> None:
    access = parse_access(text)
    assert access.administrators() == {"alice", "bob", "carol"}
    assert access.rank("carol") is Rank.OPERATOR
    assert access.rank("alice") is None
    member = "backupclient@web2"
    assert access.repository(member, "web1", Right.WRITE) == "web1"
    assert access.repository(member, "web2", Right.READ) == "web2"
    assert access.repository(member, "web2", Right.WRITE) is None
    assert access.repository(member, "gitosis-admin", Right.READ) is None
    assert access.repository("mallory", "web1", Right.READ) is None


def test_a_mapped_name_leads_to_the_other_repository() -> None:
    assert parse_access(PLAIN).repository("backupclient@web1", "old-web1", Right.WRITE) == "web1"


def test_a_path_regex_is_anchored() -> None:
    access = parse_access(VARIANT.replace("^web1(-.*)?$", "web1|shop"))
    member = "backupclient@web1"
    assert access.repository(member, "shop", Right.WRITE) == "shop"
    assert access.repository(member, "web11", Right.WRITE) is None
    assert access.repository(member, "my-shop", Right.WRITE) is None


def test_grants_say_the_stronger_of_two_rights() -> None:
    access = parse_access("repo a b\n R = x\nrepo a\n RW = x\n")
    assert access.grants("x") == {"a": Right.WRITE, "b": Right.READ}


def test_what_is_not_known_is_noted_and_ignored() -> None:
    notes = parse_access(VARIANT).notes
    assert notes == ("gitosis.conf:3: loglevel: ignored", "gitosis.conf:4: extProps: ignored")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[group a]\nmembers = @b\nwritable = x\n", "gitosis.conf:1: there is no group @b"),
        ("[group a]\nmembers = @b\n[group b]\nmembers = @a\n", "contain each other"),
        ("[group a]\nmembers = @a\n", "gitosis.conf:1: the groups @a and @a contain each other"),
        ("[group a]\nwritable = ../x\n", "gitosis.conf:2: ../x cannot be the name of a repository"),
        ("[group a]\nwritable = a..b\n", "cannot be the name of a repository"),
        ("[group a]\nmembers = --home\n", "gitosis.conf:1: --home cannot be the name of a member"),
        ("[group a]\nmembers = a/b\n", "a/b cannot be the name"),
        ("[group a]\nbkrole = god\n", "gitosis.conf:2: bkrole must be viewer, operator or admin"),
        ("[group a]\nmembers\n", "gitosis.conf:2: members is not key = value"),
        ("@a = x\nrepo r\n\tRW+ = @b\n", "gitosis.conf:3: there is no group @b"),
        ("repo r\n\t- = x\n", "gitosis.conf:2: a rule that takes rights away"),
        ("repo r\n\tpath_regex = (\n", "gitosis.conf:2: path_regex: "),
        ('repo r\n\tRW+ = "x\n', "gitosis.conf:2: cannot be read: No closing quotation"),
        ("bkrole @x = viewer\n", "gitosis.conf:1: there is no group @x"),
        ("repo \x1b[31m\n\tR = x\n", "\\x1b[31m cannot be the name"),
    ],
)
def test_a_fault_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_access(text)
    assert told in str(caught.value)


def test_all_faults_come_in_one_answer() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_access("[group a]\nmembers = @b\nbkrole = x\nwritable = ~\n")
    assert len(str(caught.value).splitlines()) == 3


def test_groups_that_share_groups_many_floors_deep_are_resolved_at_once() -> None:
    floors = [f"@g{n} = @g{n + 1} @g{n + 1} @h{n + 1}\n@h{n} = @g{n + 1} @h{n + 1}\n" for n in range(60)]
    access = parse_access("".join(floors) + "@g60 = x\n@h60 = y\n")
    assert access.groups["g0"] == {"x", "y"}


@given(st.text())
def test_any_text_is_either_understood_or_a_fault(text: str) -> None:
    told = ""
    try:
        access = parse_access(text)
    except ConfigError as error:
        told = str(error)
    else:
        assert access.repository("mallory-who-stands-nowhere", "gitosis-admin", Right.READ) is None
    assert all(line.isprintable() for line in told.splitlines())
