"""A pool: one folder of requests, of a client for one server (requests/<server>) or the server's TODO of one client."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bkcore import durable
from bkcore.errors import NothingMatched
from bkcore.request import Outcome, Receipt, Wish, decode, encode, is_id, new_id
from bkcore.spool import attempts as tries
from bkcore.spool.attempts import Attempts
from bkcore.spool.claim import Claim
from bkcore.spool.sameness import Meant, is_same, meant, slug, with_id
from bkcore.state import PRECEDENCE, Letter, Role

_ATTEMPTS = ".attempts"
_INCOMPLETE = ".incomplete"
_CANCEL = ".cancel"
_PROGRESS = ".progress"
_PEER = ".tries"
_SEQUENCE = ".sequence"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Item:
    """One request file as it was met. name: the file's name without its letter."""

    letter: Letter
    id: str
    name: str
    folder: Path

    @property
    def path(self) -> Path:
        """Where the file lies in its present state."""
        return self.at(self.letter)

    @property
    def key(self) -> str:
        """What two wishes for the same thing have in common (client pools only)."""
        return self.name[: -len(self.id) - 1].rpartition("-")[2] if self.name != self.id else ""

    def at(self, letter: Letter) -> Path:
        """Where the file lies in another state."""
        return self.folder / f"{letter.value}{self.name}"

    def body(self) -> bytes:
        """The file's bytes. FileNotFoundError when it has moved on."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a wish. merged: an equal one was waiting already, and id is that one's."""

    id: str
    merged: bool


class Pool:
    """All moves of one pool. Every change is made under the pool's lock, which is held for moments only."""

    def __init__(self, folder: Path, role: Role) -> None:
        self.folder = folder
        self.role = role

    def create(self) -> None:
        """Make the folders, if they are not there."""
        for name in (_ATTEMPTS, _CANCEL, _INCOMPLETE):
            durable.make_folder(self.folder / name)

    def items(self) -> list[Item]:
        """All requests, one an id (the later letter decides), oldest id first. A pool that does not exist is empty."""
        best: dict[str, Item] = {}
        for item in self._files():
            other = best.get(item.id)
            if other is None or PRECEDENCE.index(item.letter) > PRECEDENCE.index(other.letter):
                best[item.id] = item
        return sorted(best.values(), key=lambda item: item.id)

    def find(self, request: str) -> Item:
        """The request with that id. NothingMatched."""
        for item in self.items():
            if item.id == request:
                return item
        raise NothingMatched(f"no request {request} in {self.folder}")

    def submit(self, wish: Wish, now: datetime) -> Submitted:
        """Add one wish; see submit_all()."""
        return self.submit_all([wish], now)[0]

    def submit_all(self, wishes: Sequence[Wish], now: datetime) -> list[Submitted]:
        """Add wishes, each with an id of its own; an equal one that still waits takes it in. All durable on return.

        wish.id is replaced. Wishes that are being worked on take nothing in: the new one waits behind them.
        """
        with self.lock():
            waiting = self._waiting()
            last = self._last_sequence()
            new: dict[Meant, Wish] = {}
            done = []
            for wish in wishes:
                known = next((item.id for item in waiting.get(wish.key, ()) if is_same(wish, item.body)), "")
                merged = bool(known) or meant(wish) in new
                if not merged:
                    new[meant(wish)] = with_id(wish, new_id(now, last + len(new) + 1))
                done.append(Submitted(known or new[meant(wish)].id, merged=merged))
            self._create(new.values(), last + len(new))
            return done

    def accept(self, bodies: Mapping[str, bytes]) -> None:
        """Add requests that came over the control line, under the ids they have. All durable on return."""
        self._create_all(Letter.COMPLETE, bodies)

    def settle_all(self, ended: Iterable[tuple[bytes, Receipt, Letter]]) -> None:
        """Write down, durably, the end of requests that never waited here. ended: their bytes, receipt and letter."""
        by_letter: dict[Letter, dict[str, bytes]] = {}
        for body, receipt, letter in ended:
            by_letter.setdefault(letter, {})[receipt.id] = encode(Outcome.of(body, receipt))
        for letter, bodies in by_letter.items():
            self._create_all(letter, bodies)

    def _create_all(self, letter: Letter, bodies: Mapping[str, bytes]) -> None:
        with self.lock():
            staged, final = self.folder / _INCOMPLETE / "RQ", self.folder / letter.value
            durable.create_batch((Path(f"{staged}{name}"), Path(f"{final}{name}"), bodies[name]) for name in bodies)

    def claim(self, item: Item) -> Claim | None:
        """Take a request to work on: C becomes P, S stays. None when somebody else has it or it has moved on.

        The file is locked, then renamed, then checked to be the same file.
        """
        held = durable.Held.take(item.path)
        if held is None:
            return None
        letter = Letter.PROCESSING if item.letter is Letter.COMPLETE else item.letter
        with self.lock():
            if held.is_still(item.path) and letter is not item.letter:
                durable.move(item.path, item.at(letter))
        if not held.is_still(item.at(letter)):
            held.release()
            return None
        return Claim(self, Item(letter, item.id, item.name, item.folder), held)

    def recover(self) -> list[str]:
        """Put right what a death left: two letters of one id, half-written files, P that nobody holds.

        Returns a line for each thing that was done.
        """
        if not self.folder.is_dir():
            return []
        with self.lock():
            done = self._drop_older_letters()
            done += self._drop_incomplete()
            done += self._release_dead()
        return done

    def revive(self, item: Item, letter: Letter) -> Item:
        """Let a failed request work again under its own id: a new C (server) or S (client), then the E goes."""
        outcome = self.outcome(item)
        with self.lock():
            durable.create(item.at(letter), outcome.raw_body)
            durable.remove(item.path)
        self.forget_attempts(item.id)
        return Item(letter, item.id, item.name, item.folder)

    def resolve(self, item: Item, receipt: Receipt | None = None) -> None:
        """This failure is history: F. receipt: a person's word on it; without one a newer success is its end."""
        body = item.body() if receipt is None else encode(Outcome.of(self.outcome(item).raw_body, receipt))
        with self.lock():
            durable.create(item.at(Letter.FINISHED), body)
            durable.remove(item.path)

    def discard(self, items: Iterable[Item]) -> None:
        """Take finished requests away, when they are old enough to be of no use."""
        with self.lock():
            for item in items:
                durable.remove(item.path)
                self.forget_attempts(item.id)

    def sweep(self) -> None:
        """Take away what was noted about requests that are here no more or have ended."""
        with self.lock():
            ended = (Letter.FINISHED, Letter.FAILED)
            live = {item.id for item in self.items() if item.letter not in ended}
            for folder in (_ATTEMPTS, _CANCEL, _PROGRESS):
                names = os.listdir(self.folder / folder) if (self.folder / folder).is_dir() else []
                for name in names:
                    # A gauge that died left its file half written under the same id.
                    request = name.removeprefix(".").removesuffix(".tmp")
                    if is_id(request) and request not in live:
                        durable.remove(self.folder / folder / name)

    def outcome(self, item: Item) -> Outcome:
        """The body of an F or E file. Malformed when it was damaged."""
        return decode(item.body(), Outcome)

    def attempts(self, request: str) -> Attempts:
        """What was tried for a request so far."""
        return tries.load(self.folder / _ATTEMPTS / request)

    def note_attempts(self, request: str, attempts: Attempts) -> None:
        """Write down what was tried."""
        tries.save(self.folder / _ATTEMPTS / request, attempts)

    def note_all(self, tried: Mapping[str, Attempts]) -> None:
        """Write down what was tried for many, durable together."""
        folder = self.folder / _ATTEMPTS
        with self.lock():
            durable.create_batch(
                (folder / f".{request}.tmp", folder / request, tries.encoded(attempts))
                for request, attempts in tried.items()
            )

    def forget_attempts(self, request: str, *, taken_back: bool = True) -> None:
        """The request has ended, or begins anew. taken_back: forget also that a person took it back."""
        durable.remove(self.folder / _ATTEMPTS / request)
        if taken_back:
            durable.remove(self.cancel_mark(request))

    def cancel_mark(self, request: str) -> Path:
        """The file that says: a person took this request back. Whoever works on it looks for it now and then."""
        return self.folder / _CANCEL / request

    def ask_cancel(self, request: str) -> None:
        """Leave that mark."""
        durable.replace(self.cancel_mark(request), b"")

    def progress_file(self, request: str) -> Path:
        """Where whoever works on it says how far it is (see bkcore.gauge)."""
        return self.folder / _PROGRESS / request

    def peer_tries(self) -> Attempts:
        """What was tried since the other end answered last; nothing while it does."""
        return tries.load(self.folder / _PEER)

    def note_peer(self, attempts: Attempts) -> None:
        """Write that down."""
        self.note(_PEER, tries.encoded(attempts))

    def forget_peer(self) -> None:
        """The other end has answered."""
        durable.remove(self.folder / _PEER)

    def note(self, name: str, data: bytes) -> None:
        """Write a small file beside the requests: under the lock, as recover() takes away what is half written."""
        with self.lock():
            durable.replace(self.folder / name, data)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the pool's lock."""
        with durable.locked(self.folder / _LOCK):
            yield

    def _waiting(self) -> dict[str, list[Item]]:
        """What still waits, by key."""
        found: dict[str, list[Item]] = {}
        for item in self._files():
            if item.letter is Letter.COMPLETE:
                found.setdefault(item.key, []).append(item)
        return found

    def _create(self, wishes: Collection[Wish], sequence: int) -> None:
        """Make wishes C, the sequence first: a number that was given away is never given again."""
        if not wishes:
            return
        durable.replace(self.folder / _SEQUENCE, f"{sequence}\n".encode())
        names = [(f"{wish.module}:{slug(wish.raw_path)}-{wish.key}.{wish.id}", wish) for wish in wishes]
        incomplete, complete = Letter.INCOMPLETE.value, Letter.COMPLETE.value
        durable.create_batch(
            (self.folder / f"{incomplete}{name}", self.folder / f"{complete}{name}", encode(wish))
            for name, wish in names
        )

    def _last_sequence(self) -> int:
        try:
            return int((self.folder / _SEQUENCE).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def _files(self) -> Iterator[Item]:
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return
        for name in names:
            item = self._parse(name)
            if item is not None:
                yield item

    def _parse(self, name: str) -> Item | None:
        rest = name[1:]
        request = rest if self.role is Role.SERVER else rest.rpartition(".")[2]
        try:
            letter = Letter(name[:1])
        except ValueError:
            return None
        if letter is Letter.INCOMPLETE or not is_id(request):
            return None
        return Item(letter, request, rest, self.folder)

    def _drop_older_letters(self) -> list[str]:
        kept = {item.id: item.letter for item in self.items()}
        stale = [item for item in self._files() if item.letter is not kept[item.id]]
        for item in stale:
            durable.remove(item.path)
        return [f"{item.id}: removed an older {item.letter.value}" for item in stale]

    def _drop_incomplete(self) -> list[str]:
        # Whoever writes these holds the lock that we hold now.
        stale = [path for path in self.folder.iterdir() if _is_incomplete(path.name)]
        stale += list((self.folder / _INCOMPLETE).iterdir()) if (self.folder / _INCOMPLETE).is_dir() else []
        for path in stale:
            durable.remove(path)
        return [f"removed the incomplete {path.name}" for path in stale]

    def _release_dead(self) -> list[str]:
        done = []
        for item in self._files():
            if item.letter is not Letter.PROCESSING:
                continue
            held = durable.Held.take(item.path)
            if held is not None:
                durable.move(item.path, item.at(Letter.COMPLETE))
                held.release()
                done.append(f"{item.id}: its worker died, it waits again")
        return done


def _is_incomplete(name: str) -> bool:
    return name.startswith(Letter.INCOMPLETE.value) or (name.startswith(".") and name.endswith(".tmp"))
