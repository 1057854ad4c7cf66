"""What retention rules remove of a server's versions: planned first, then carried out as planned or not at all."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bkcore.archive.clean import freed_without
from bkcore.archive.entries import Entry
from bkcore.archive.removal import Removed, inspect, remove
from bkcore.archive.retention import Candidate, decide, rule_for
from bkcore.archive.selection import moment
from bkcore.archive.trash import Trash
from bkcore.config.server import Keep

REASON = "by rule"


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of one version. pattern: of the rule. why: all that keeps it; empty: it goes."""

    client: str
    entry: Entry
    pattern: str
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Every version for whose source there is a rule. unruled: the sources that have none, CLIENT:LABEL."""

    lines: Sequence[Line]
    unruled: Sequence[str]

    @property
    def name(self) -> str:
        """What it is called: the same only for the same decisions about the same versions."""
        told = "\n".join(f"{line.client} {line.entry.id} {bool(line.why)}" for line in self.lines)
        return f"plan-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    def going(self) -> dict[str, list[Entry]]:
        """The versions that go, by client."""
        found: dict[str, list[Entry]] = {}
        for line in self.lines:
            if not line.why:
                found.setdefault(line.client, []).append(line.entry)
        return found


def plan(clients: Mapping[str, Path], rules: Mapping[str, Keep], now: datetime) -> Plan:
    """What the rules say now. clients: their folders by name. Times are counted on now's clock."""
    lines: list[Line] = []
    unruled: list[str] = []
    for client, folder in clients.items():
        state = inspect(folder, now)
        for group in state.groups:
            rule = rule_for(rules, client, group.source)
            if rule is None:
                unruled.append(f"{client}:{group.source}")
                continue
            found = {entry.id: entry for entry in group.versions}
            seen = (Candidate(e.id, e.sequence, _on_clock(e, now), state.is_good(e)) for e in found.values())
            decided = decide(seen, rule[1], now, state.guards)
            lines += [Line(client, found[each.id], rule[0], each.why) for each in decided]
    return Plan(lines, unruled)


def carry_out(clients: Mapping[str, Path], planned: Plan, *, at: datetime, by: str) -> Iterable[tuple[str, Removed]]:
    """Remove what goes, client by client; what came under guard since stays."""
    for client, entries in planned.going().items():
        yield client, remove(clients[client], entries, at=at, by=by, why=REASON)


def would_free(clients: Mapping[str, Path], planned: Plan) -> int:
    """Bytes that are free when what goes was cleaned away, over what the trash gives back anyway. About."""
    freed = 0
    for client, entries in planned.going().items():
        trash = set(Trash(clients[client]).all())
        with_it, _ = freed_without(clients[client], trash | {entry.id for entry in entries})
        without, _ = freed_without(clients[client], trash)
        freed += sum(part.bytes for part in with_it) - sum(part.bytes for part in without)
    return max(freed, 0)


def _on_clock(entry: Entry, now: datetime) -> datetime:
    return moment(entry).astimezone(now.tzinfo)
