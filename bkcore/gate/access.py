"""Who may do what on a server, as the administrators wrote it in gitosis.conf: a pure value, and where it is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bkcore.config.reading import read_file
from bkcore.errors import ConfigError

ADMIN_REPOSITORY = "gitosis-admin"
CONF = "gitosis.conf"
KEYDIR = "keydir"
CLIENTS = "clients"


class Right(StrEnum):
    """What a member may do with a repository."""

    READ = "r"
    WRITE = "rw"


class Rank(StrEnum):
    """The console's roles, weakest first; groups carry them as `bkrole`."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Rule:
    """One grant. members: names, groups resolved. name: the repository as it is asked for; target: what it leads to.

    pattern: anchored, matches further names that lead to themselves; None without one.
    """

    members: frozenset[str]
    right: Right
    name: str
    target: str
    pattern: "re.Pattern[str] | None" = None

    def leads(self, asked: str) -> str | None:
        """The repository that is meant by a name, None if this rule is not about it."""
        if asked == self.name:
            return self.target
        return asked if self.pattern is not None and self.pattern.fullmatch(asked) else None


@dataclass(frozen=True, slots=True)
class Access:
    """All grants. groups: members by group, nested ones resolved. ranks: by group. notes: what was ignored, by line."""

    groups: Mapping[str, frozenset[str]]
    rules: tuple[Rule, ...]
    ranks: Mapping[str, Rank]
    notes: tuple[str, ...] = ()

    def grants(self, member: str) -> dict[str, Right]:
        """The repositories that a member is granted by name, with the stronger right of several rules."""
        found: dict[str, Right] = {}
        for rule in self.rules:
            if member in rule.members:
                found[rule.name] = Right.WRITE if Right.WRITE in (rule.right, found.get(rule.name)) else rule.right
        return found

    def repository(self, member: str, asked: str, right: Right) -> str | None:
        """The repository that a member reaches under a name with that right, None if not."""
        for rule in self.rules:
            if member in rule.members and rule.right in (right, Right.WRITE):
                target = rule.leads(asked)
                if target is not None:
                    return target
        return None

    def rank(self, member: str) -> Rank | None:
        """The strongest console role of a member, None for none."""
        held = [rank for group, rank in self.ranks.items() if member in self.groups[group]]
        return max(held, key=list(Rank).index, default=None)

    def administrators(self) -> frozenset[str]:
        """Who may change all this: the members that may write gitosis-admin."""
        admin = (rule.members for rule in self.rules if rule.right is Right.WRITE and rule.target == ADMIN_REPOSITORY)
        return frozenset().union(*admin)


def access_of(home: Path) -> Access:
    """The access rules in force on a server: the last good state, in <home>/access. ConfigError names every fault."""
    from bkcore.gate.gitosis import parse_access

    path = home / "access" / CONF
    try:
        text = read_file(path).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    return parse_access(text)
