"""gitosis.conf in both forms that administrators know: plain gitosis (INI), and that of the manual's variant.

Plain:    [group NAME] with members, writable, readonly, map writable A = B.
Variant:  @NAME = members; repo NAME… with indented RW+, RW, R and path_regex (anchored here).
Both:     bkrole, in a plain group or as `bkrole @NAME = operator`. Nothing in the file is ever imported or run.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from bkcore.errors import ConfigError
from bkcore.gate.access import CONF, Access, Rank, Right, Rule
from bkcore.safe import safe

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,99}")
_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_HEADER = re.compile(r"\[\s*([a-z]+)(?:\s+([^\]]*?))?\s*\]")
_COMMENT = re.compile(r"(?:^|\s)[#;].*")
_RIGHTS = {"writable": Right.WRITE, "readonly": Right.READ, "RW+": Right.WRITE, "RW": Right.WRITE, "R": Right.READ}


def is_member(name: str) -> bool:
    """Whether that can be the name of a member: alice, backupclient@web1."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class _Setting:
    line: int
    key: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """A header and what stands below it: ("group", "web"), ("repo", "web1", …), ("gitosis",)."""

    line: int
    header: tuple[str, ...]
    settings: list[_Setting] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Grant:
    line: int
    members: tuple[str, ...]
    right: Right
    name: str
    target: str
    pattern: "re.Pattern[str] | None" = None


@dataclass(slots=True)
class _Draft:
    """What was read so far; faults and notes are (line, text)."""

    groups: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    grants: list[_Grant] = field(default_factory=list)
    ranks: dict[str, tuple[int, Rank]] = field(default_factory=dict)
    notes: list[tuple[int, str]] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)


def parse_access(text: str) -> Access:
    """The rules of a gitosis.conf. ConfigError has one line a fault, each with its line number."""
    draft = _Draft()
    for block in _ini(text, draft) if _is_ini(text) else _variant(text, draft):
        _take(block, draft)
    groups: dict[str, frozenset[str]] = {}
    for name in draft.groups:
        _resolve(name, draft, groups, ())
    rules = tuple(
        Rule(_members(grant.line, grant.members, groups, draft), grant.right, grant.name, grant.target, grant.pattern)
        for grant in draft.grants
    )
    for name, (line, _) in draft.ranks.items():
        if name not in groups:
            draft.faults.append((line, f"there is no group @{name}"))
    if draft.faults:
        raise ConfigError("\n".join(f"{CONF}:{line}: {safe(fault)}" for line, fault in sorted(set(draft.faults))))
    notes = tuple(f"{CONF}:{line}: {safe(note)}" for line, note in draft.notes)
    return Access(groups, rules, {name: rank for name, (_, rank) in draft.ranks.items()}, notes)


def _is_ini(text: str) -> bool:
    first = (line.strip() for line in text.splitlines() if _COMMENT.sub("", line).strip())
    return next(first, "").startswith("[")


def _ini(text: str, draft: _Draft) -> Iterator[_Block]:
    """Sections with `key = words`; an indented line goes on with the setting above it."""
    block: _Block | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = _COMMENT.sub("", raw).rstrip()
        if not line.strip():
            continue
        header = _HEADER.fullmatch(line)
        if header is not None:
            if block is not None:
                yield block
            block = _Block(number, (header[1], *(header[2] or "").split()))
        elif block is None:
            draft.faults.append((number, "stands above the first [section]"))
        elif line[0].isspace() and block.settings:
            last = block.settings[-1]
            block.settings[-1] = _Setting(last.line, last.key, (*last.words, *line.split()))
        else:
            _set(block, number, line.strip(), line.strip().replace(":", "=", 1).partition("="), draft)
    if block is not None:
        yield block


def _set(block: _Block, number: int, line: str, parts: tuple[str, str, str], draft: _Draft) -> None:
    key, equals, value = parts
    if equals:
        block.settings.append(_Setting(number, " ".join(key.split()), tuple(value.split())))
    else:
        draft.faults.append((number, f"{line} is not key = value"))


def _variant(text: str, draft: _Draft) -> Iterator[_Block]:
    """Unindented headers or single lines, indented settings; # comments, words may be quoted."""
    block: _Block | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(raw, comments=True)
        except ValueError as error:
            draft.faults.append((number, f"cannot be read: {error}"))
            continue
        if not words:
            continue
        if raw[0].isspace() and block is not None:
            _set_words(block, number, words, draft)
            continue
        if block is not None:
            yield block
        block = _header(number, words)
    if block is not None:
        yield block


def _set_words(block: _Block, number: int, words: list[str], draft: _Draft) -> None:
    if len(words) >= 2 and words[1] == "=":
        block.settings.append(_Setting(number, words[0], tuple(words[2:])))
    else:
        draft.faults.append((number, f"{' '.join(words)} is not key = value"))


def _header(number: int, words: list[str]) -> _Block:
    """`@web = a b` becomes a group with members, `bkrole @web = viewer` one with a role; others stay as they are."""
    if words[0].startswith("@") and words[1:2] == ["="]:
        return _Block(number, ("group", words[0][1:]), [_Setting(number, "members", tuple(words[2:]))])
    if words[0] == "bkrole" and words[1:2] and words[1].startswith("@") and words[2:3] == ["="]:
        return _Block(number, ("bkrole", words[1][1:]), [_Setting(number, "bkrole", tuple(words[3:]))])
    return _Block(number, tuple(words))


def _take(block: _Block, draft: _Draft) -> None:
    match block.header:
        case ("group", name):
            _take_group(block, name, draft)
        case ("bkrole", name):
            for setting in block.settings:
                _take_rank(setting, name, draft)
        case ("repo", *names) if names:
            _take_repositories(block, names, draft)
        case ("gitosis",):
            draft.notes += [(setting.line, f"{setting.key}: ignored") for setting in block.settings]
        case _:
            draft.notes.append((block.line, f"{' '.join(block.header)}: unknown, ignored"))


def _take_group(block: _Block, name: str, draft: _Draft) -> None:
    _check_name(block.line, name, draft)
    line, members = draft.groups.get(name, (block.line, ()))
    for setting in block.settings:
        kind, _, mapped = setting.key.removeprefix("map ").partition(" ")
        if setting.key == "members":
            members += setting.words
        elif setting.key == "bkrole":
            _take_rank(setting, name, draft)
        elif setting.key in ("writable", "readonly"):
            for target in setting.words:
                _grant(setting, (f"@{name}",), setting.key, target, target, draft)
        elif setting.key.startswith("map ") and kind in ("writable", "readonly") and len(setting.words) == 1:
            _grant(setting, (f"@{name}",), kind, mapped, setting.words[0], draft)
        else:
            draft.notes.append((setting.line, f"{setting.key}: ignored"))
    draft.groups[name] = (line, members)


def _take_repositories(block: _Block, names: list[str], draft: _Draft) -> None:
    pattern = None
    for setting in block.settings:
        if setting.key == "path_regex":
            try:
                pattern = re.compile(" ".join(setting.words))
            except re.error as error:
                draft.faults.append((setting.line, f"path_regex: {error}"))
    for setting in block.settings:
        if setting.key in ("RW+", "RW", "R"):
            for name in names:
                _grant(setting, setting.words, setting.key, name, name, draft, pattern)
        elif setting.key.startswith("-"):
            draft.faults.append((setting.line, "a rule that takes rights away is not understood here"))
        elif setting.key != "path_regex":
            draft.notes.append((setting.line, f"{setting.key}: ignored"))


def _grant(
    setting: _Setting,
    members: tuple[str, ...],
    right: str,
    name: str,
    target: str,
    draft: _Draft,
    pattern: "re.Pattern[str] | None" = None,
) -> None:
    for each in {name, target}:
        if _REPOSITORY.fullmatch(each) is None or ".." in each:
            draft.faults.append((setting.line, f"{each} cannot be the name of a repository"))
    draft.grants.append(_Grant(setting.line, members, _RIGHTS[right], name, target, pattern))


def _take_rank(setting: _Setting, name: str, draft: _Draft) -> None:
    try:
        (word,) = setting.words
        draft.ranks[name] = (setting.line, Rank(word))
    except ValueError:
        draft.faults.append((setting.line, "bkrole must be viewer, operator or admin"))


def _check_name(line: int, name: str, draft: _Draft) -> None:
    if _NAME.fullmatch(name) is None:
        draft.faults.append((line, f"{name} cannot be the name of a member or group"))


def _resolve(name: str, draft: _Draft, done: dict[str, frozenset[str]], above: tuple[str, ...]) -> frozenset[str]:
    """The members of a group, those of its groups too. Cycles and unknown groups become faults."""
    if name in done:
        return done[name]
    line, words = draft.groups[name]
    found: set[str] = set()
    for word in words:
        inner = word[1:]
        if not word.startswith("@"):
            _check_name(line, word, draft)
            found.add(word)
        elif inner not in draft.groups:
            draft.faults.append((line, f"there is no group {word}"))
        elif inner in (*above, name):
            draft.faults.append((line, f"the groups @{name} and {word} contain each other"))
        else:
            found |= _resolve(inner, draft, done, (*above, name))
    done[name] = frozenset(found)
    return done[name]


def _members(line: int, words: tuple[str, ...], groups: dict[str, frozenset[str]], draft: _Draft) -> frozenset[str]:
    found: set[str] = set()
    for word in words:
        if not word.startswith("@"):
            _check_name(line, word, draft)
            found.add(word)
        elif word[1:] in groups:
            found |= groups[word[1:]]
        else:
            draft.faults.append((line, f"there is no group {word}"))
    return frozenset(found)
