"""The right to move one request: only who holds a Claim can send, retry, finish or fail it."""

from typing import TYPE_CHECKING

from bkcore import durable
from bkcore.request import Outcome, Receipt, encode
from bkcore.spool.attempts import Attempts
from bkcore.state import WAITS_FOR_PERSON, Letter

if TYPE_CHECKING:
    from bkcore.spool.pool import Item, Pool


class Claim:
    """One request, locked by this process until one of the moves below, release(), or the process's end."""

    def __init__(self, pool: "Pool", item: "Item", held: durable.Held) -> None:
        self.pool = pool
        self.item = item
        self._held = held
        self.body = item.body()

    @property
    def id(self) -> str:
        """The request's id."""
        return self.item.id

    def send(self) -> None:
        """P becomes S: the outbox is whole and durable, the request is offered from now on."""
        self._move(Letter.SEND)
        # A mark left by a person stays: the server is to hear of it.
        self.pool.forget_attempts(self.id, taken_back=False)

    def retry(self, attempts: Attempts) -> None:
        """P becomes C again; attempts say why and from when on."""
        self.pool.note_attempts(self.id, attempts)
        self._move(Letter.COMPLETE)

    def finish(self, receipt: Receipt) -> None:
        """The end: F, or E for an answer that waits for a person. True once the new file is durable."""
        letter = Letter.FAILED if receipt.state in WAITS_FOR_PERSON else Letter.FINISHED
        with self.pool.lock():
            durable.create(self.item.at(letter), encode(Outcome.of(self.body, receipt)))
            durable.remove(self.item.path)
        self.pool.forget_attempts(self.id)
        self.release()

    def release(self) -> None:
        """Let go without a move. Safe to call twice."""
        self._held.release()

    def _move(self, letter: Letter) -> None:
        with self.pool.lock():
            durable.move(self.item.path, self.item.at(letter))
        self.release()
