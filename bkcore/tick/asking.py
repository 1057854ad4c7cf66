"""What a person asks of an end: a backup, another try, taking a request back. Shared by command line and console."""

from collections.abc import Sequence

import msgspec

from bkcore.errors import Refused, UsageError
from bkcore.modules import Source
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import Wish, decode
from bkcore.safe import safe
from bkcore.spool import Submitted
from bkcore.state import PAUSED, Answer, Letter
from bkcore.status import find, row_of
from bkcore.tick.ends import ClientEnd, ServerEnd


def labelled(end: ClientEnd, labels: tuple[str, ...]) -> list[Source]:
    """The configured sources with these labels. UsageError names those that are none."""
    known = {source.label: source for source in end.sources()}
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise UsageError(f"no source is labelled {', '.join(unknown)}", hint=f"labels: {', '.join(sorted(known))}")
    return [known[label] for label in dict.fromkeys(labels)]


def submit_all(
    end: ClientEnd, server: str, sources: Sequence[Source], **wishes: object
) -> list[tuple[Source, Submitted]]:
    """One wish for each source. wishes: as for submit()."""
    from bkcore.tick import client

    return list(zip(sources, client.submit_all(end, server, sources, **wishes), strict=True))


def retry(home: ClientHome | ServerHome, request: str) -> tuple[str, str]:
    """Try again now: a waiting request at the next tick, a failed one anew. Its id from now on, and what was done.

    NothingMatched; Refused for one that has not failed, or was refused for what it is. ConfigError, NotMounted.
    """
    end = open_end(home)
    peer, pool, item = find(home, request)
    if item.letter is Letter.COMPLETE:
        pool.forget_attempts(request)
        row = row_of(peer, pool, item, end.paused())
        rests = f" after its pause {safe(row.text)}" if row.code == PAUSED else ""
        return request, f"{request}: at the next tick{rests}"
    if item.letter is not Letter.FAILED:
        raise Refused(f"{request} has not failed: it is {row_of(peer, pool, item, end.paused()).state}")
    if isinstance(end, ServerEnd):
        if pool.outcome(item).receipt.state is Answer.REFUSED:
            raise Refused(f"{request} was refused for what it is: trying again cannot help")
        pool.revive(item, Letter.COMPLETE)
        return request, f"{request}: waits again"
    wish = decode(pool.outcome(item).raw_body, Wish)
    again = msgspec.structs.replace(wish, retry_of=request, origin="person")
    done = pool.submit(again, end.clock())
    return done.id, f"{request}: asked for again as {done.id}"


def cancel(home: ClientHome | ServerHome, request: str) -> str:
    """Take a request back: one that waits or failed ends now, one that is worked on is asked to stop.

    NothingMatched; Refused for one that is finished. Damaged, ConfigError, NotMounted.
    """
    from bkcore.tick.extract import cancel as cancel_on_server

    end = open_end(home)
    peer, pool, item = find(home, request)
    if item.letter is Letter.FINISHED:
        raise Refused(f"{request} has ended already")
    if isinstance(end, ServerEnd):
        return f"{request}: {cancel_on_server(end, peer, pool, item)}"
    if item.letter is Letter.FAILED:
        pool.resolve(item, end.own_receipt(request, Answer.CANCELLED, text="settled by a person"))
        return f"{request}: settled"
    claim = pool.claim(item) if item.letter is Letter.COMPLETE else None
    if claim is None:
        pool.ask_cancel(request)
        return f"{request}: asked to be cancelled"
    claim.finish(end.own_receipt(request, Answer.CANCELLED, text="cancelled on request"))
    return f"{request}: cancelled"


def open_end(home: ClientHome | ServerHome) -> ClientEnd | ServerEnd:
    """The end of a home, so that something may be written there. ConfigError, NotMounted."""
    return ClientEnd.open(home) if isinstance(home, ClientHome) else ServerEnd.open(home)
