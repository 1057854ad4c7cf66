"""Requests of one client in every state that a screen can show, in both pools, with hostile words and logs."""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import tomli_w
from fakes.gallery import NOW

from bkcore import durable, gauge
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import ArchiveClaim, Receipt, Request, Stored, Wish, encode, path_fields
from bkcore.safe import safe
from bkcore.spool import Attempts, Claim, Item, Pause, Pool, pauses
from bkcore.state import Answer, Letter, Method, Role

# As a program says it; receipts carry it made safe.
BAD = "cannot read [/home]/\x1b[31mred\x1b[0m and bid\u202ei: Permission denied\nsecond line"
_MIB = 1 << 20
_METHODS = {"sqlite": Method.SFTP, "directories": Method.RSYNC, "git": Method.GIT}
_SOURCES = {
    "shop": ("sqlite", b"/srv/shop.db"),
    "home": ("directories", b"/home"),
    "repo": ("git", b"/srv/git/work.git"),
    "wiki": ("directories", "/srv/[bold]wiki[/] 漢字".encode()),
    "odd": ("directories", b"/srv/odd \xff\n\x1b[2J"),
    "ledger": ("sqlite", b"/srv/ledger.db"),
}
_CLAIM = ArchiveClaim(root="0" * 64, size=4 << 20, stream_sha256="0" * 64)


@dataclass(frozen=True)
class Told:
    """How one request stands. minutes: since it was asked for. answer: what ended it, or what the server said last."""

    source: str
    letter: Letter
    minutes: int
    answer: Answer | None = None
    attempts: Attempts | None = None
    text: str = ""
    code: str = ""
    reading: gauge.Reading | None = None
    origin: str = "person"


_TRIED = Attempts(
    count=3,
    code="unreachable",
    text="127.0.0.1 does not answer: connection refused",
    next_try=NOW + timedelta(minutes=20),
    since=NOW - timedelta(hours=1),
)
_HALF = gauge.Reading(done=1300 * _MIB, total=3100 * _MIB, rate=12 * _MIB)
_SENT = Attempts(answer=Answer.RUNNING)

MINE = (
    Told("repo", Letter.FINISHED, 300, Answer.STORED),
    Told("odd", Letter.FINISHED, 280, Answer.SUPERSEDED, text="a newer request of this source came"),
    Told("shop", Letter.FINISHED, 260, Answer.CANCELLED, text="taken back by a person"),
    Told("home", Letter.FAILED, 200, Answer.FAILED, text=safe(BAD), code="source-failed"),
    Told("wiki", Letter.SEND, 45, attempts=_SENT),
    Told("shop", Letter.SEND, 30, origin="schedule"),
    Told("home", Letter.PROCESSING, 12, reading=_HALF),
    Told("repo", Letter.COMPLETE, 8, attempts=_TRIED),
    Told("odd", Letter.COMPLETE, 3, origin="schedule"),
)
THEIRS = (
    Told("repo", Letter.FINISHED, 300, Answer.STORED),
    Told("odd", Letter.FINISHED, 280, Answer.SUPERSEDED, text="a newer request of this source came"),
    Told("home", Letter.FAILED, 200, Answer.FAILED, text=safe(BAD), code="source-failed"),
    Told("odd", Letter.FAILED, 150, Answer.REFUSED, text="this source is not allowed here", code="not-allowed"),
    Told("wiki", Letter.PROCESSING, 45, reading=_HALF),
    Told("repo", Letter.COMPLETE, 33, attempts=_TRIED),
    Told("shop", Letter.COMPLETE, 30, origin="schedule"),
)
AWAY = (Told("ledger", Letter.COMPLETE, 90, attempts=_TRIED),)


def lay(server: ServerHome, client: ClientHome) -> list[durable.Held]:
    """All of them, and the locks of what runs."""
    mine, theirs, other = (
        Pool(client.pool("main"), Role.CLIENT),
        Pool(server.pool("web1"), Role.SERVER),
        Pool(server.pool("db1"), Role.SERVER),
    )
    _pause(client)
    held = [*_pool(mine, MINE, client.log), *_pool(theirs, THEIRS, server.log), *_pool(other, AWAY, server.log)]
    other.note_peer(_TRIED)
    _listed(theirs)
    beacon = client.control("main").with_suffix(".beacon")
    beacon.parent.mkdir(exist_ok=True)
    beacon.touch()
    _at(beacon, NOW - timedelta(minutes=3))
    return held


def _pause(client: ClientHome) -> None:
    """A person lets one source rest."""
    until = NOW + timedelta(days=100 * 365)
    pauses.begin(
        client.paused, Pause(what="web1:odd", by="root", at=NOW - timedelta(days=1), until=until, reason=safe(BAD))
    )


def _pool(pool: Pool, told: tuple[Told, ...], log: Path) -> list[durable.Held]:
    pool.create()
    held = []
    for number, each in enumerate(told, 1):
        item = _waiting(pool, number, each)
        claim = pool.claim(item) if each.letter is not Letter.COMPLETE else None
        if each.attempts is not None:
            pool.note_attempts(item.id, each.attempts)
        if claim is not None:
            held += _moved(pool, claim, each)
        _log(log / f"{item.id}.log", each)
        for path in pool.folder.glob(f"*{item.id}"):
            _at(path, NOW - timedelta(minutes=each.minutes - 1))
    return held


def _waiting(pool: Pool, number: int, told: Told) -> Item:
    module, path = _SOURCES[told.source]
    created = NOW - timedelta(minutes=told.minutes)
    said: dict[str, Any] = {
        "source": told.source,
        "module": module,
        "method": _METHODS[module],
        "created": created,
        "origin": told.origin,
        **path_fields(path),
    }
    if pool.role is Role.CLIENT:
        return pool.find(pool.submit(Wish(id="", client="web1", **said), created).id)
    claim = _CLAIM if said["method"] is Method.SFTP else None
    request = Request(id=_id(created, number), archive=claim, **said)
    pool.accept({request.id: encode(request)})
    return pool.find(request.id)


def _id(created: datetime, number: int) -> str:
    return f"{created:%Y%m%dT%H%M%SZ}-{number:05d}-9f3c2a7b"


def _moved(pool: Pool, claim: Claim, told: Told) -> list[durable.Held]:
    if told.letter is Letter.PROCESSING:
        pool.note_attempts(claim.id, Attempts(count=1))
        gauge.Gauge(pool.progress_file(claim.id))._write(told.reading or _HALF)
        return [claim._held]
    if told.letter is Letter.SEND:
        claim.send()
        if told.attempts is not None:
            pool.note_attempts(claim.id, told.attempts)
        return []
    assert told.answer is not None
    at = NOW - timedelta(minutes=told.minutes - 7)
    stored = Stored(version=claim.id, root="0" * 64, size=4 * _MIB, new_bytes=_MIB, oldest_check=at)
    claim.finish(
        Receipt(
            id=claim.id,
            state=told.answer,
            at=at,
            server="main",
            code=told.code,
            text=told.text,
            stored=stored if told.answer is Answer.STORED else None,
        )
    )
    return []


def _log(path: Path, told: Told) -> None:
    said = f"--- fetch {told.source}\nrsync: [sender] ".encode() + BAD.encode() + b"\nno \xff utf-8\n--- done\n"
    path.write_bytes(said)


def _listed(pool: Pool) -> None:
    """What the client told of its sources, and when it was heard."""
    tables = {
        label: {
            "module": module,
            **{key.replace("_", "-"): value for key, value in path_fields(path).items()},
            "every": "1d" if label != "repo" else "",
            "limit": "2d" if label == "shop" else "",
            "last-wish": (NOW - timedelta(hours=5)).isoformat(),
            "error": BAD if label == "odd" else "",
        }
        for label, (module, path) in _SOURCES.items()
        if label != "ledger"
    }
    path = pool.folder / ".sources.toml"
    path.write_text(tomli_w.dumps({"format": 1, "source": tables}))
    _at(path, NOW - timedelta(minutes=4))


def _at(path: Path, moment: datetime) -> None:
    os.utime(path, (moment.timestamp(), moment.timestamp()))
