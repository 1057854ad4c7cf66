"""What a person asks of an end: a backup, another try, taking a request back. Shared by command line and console."""

import msgspec

from bkcore.errors import Refused, UsageError
from bkcore.modules import Source, sources_of
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import Wish, decode
from bkcore.spool import Submitted
from bkcore.state import Answer, Letter
from bkcore.status import find, row_of
from bkcore.tick.ends import ClientEnd, ServerEnd


def labelled(end: ClientEnd, labels: tuple[str, ...]) -> list[Source]:
    """The configured sources with these labels. UsageError names those that are none."""
    known = {source.label: source for source in sources_of(end.config)}
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise UsageError(f"no source is labelled {', '.join(unknown)}", hint=f"labels: {', '.join(sorted(known))}")
    return [known[label] for label in dict.fromkeys(labels)]


def submit_all(end: ClientEnd, server: str, sources: list[Source], **wishes: object) -> list[tuple[Source, Submitted]]:
    """One wish for each source. wishes: as for submit()."""
    from bkcore.tick.client import submit

    return [(source, submit(end, server, source, **wishes)) for source in sources]


def retry(home: ClientHome | ServerHome, request: str) -> tuple[str, str]:
    """Try again now: a waiting request at the next tick, a failed one anew. Its id from now on, and what was done.

    NothingMatched; Refused for one that has not failed, or was refused for what it is.
    """
    peer, pool, item = find(home, request)
    if item.letter is Letter.COMPLETE:
        pool.forget_attempts(request)
        return request, f"{request}: at the next tick"
    if item.letter is not Letter.FAILED:
        raise Refused(f"{request} has not failed: it is {row_of(peer, pool, item).state}")
    if isinstance(home, ServerHome):
        if pool.outcome(item).receipt.state is Answer.REFUSED:
            raise Refused(f"{request} was refused for what it is: trying again cannot help")
        pool.revive(item, Letter.COMPLETE)
        return request, f"{request}: waits again"
    wish = decode(pool.outcome(item).raw_body, Wish)
    again = msgspec.structs.replace(wish, retry_of=request, origin="person")
    done = pool.submit(again, ClientEnd.open(home).clock())
    return done.id, f"{request}: asked for again as {done.id}"


def cancel(home: ClientHome | ServerHome, request: str) -> str:
    """Take a request back: one that waits ends now, one that is worked on is asked to stop. NothingMatched, Refused."""
    from bkcore.tick.extract import cancel as cancel_on_server

    _, pool, item = find(home, request)
    if item.letter in (Letter.FINISHED, Letter.FAILED):
        raise Refused(f"{request} has ended already")
    if isinstance(home, ServerHome):
        cancel_on_server(ServerEnd.open(home), pool, item)
        return f"{request}: cancelled"
    claim = pool.claim(item) if item.letter is Letter.COMPLETE else None
    if claim is None:
        pool.ask_cancel(request)
        return f"{request}: asked to be cancelled"
    claim.finish(ClientEnd.open(home).own_receipt(request, Answer.CANCELLED, text="cancelled on request"))
    return f"{request}: cancelled"
