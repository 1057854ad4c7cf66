"""Looking at an end after a tick, and telling people what opened and what is over.

Order: the message is durable before the book says that it was told, and notices go after both. A death in between
tells something twice; nothing is lost.
"""

from contextlib import suppress
from datetime import datetime
from functools import partial

from bkcore import durable
from bkcore.alarms import mark
from bkcore.config.client import Mail
from bkcore.errors import Busy
from bkcore.notify import outgoing
from bkcore.paths import ClientHome, ServerHome
from bkcore.safe import shell_line


def look(home: ClientHome | ServerHome, mail: Mail, host: str, now: datetime, *, daily: str = "") -> None:
    """Look, tell, and send what waits; nothing where nobody is to be told, or nothing moved. daily: "HH:MM" or "".

    host: the name of this end, for the subject. OSError.
    """
    if not (mail.to and mail.sendmail) or not mark.is_due(home, now):
        return
    durable.make_folder(home.mail)
    with suppress(Busy), durable.locked(home.mail / ".look.lock", wait=False, what="looking for what is wrong"):
        was = mark.state(home)
        until = _turn(home, host, now, daily)
        outgoing.send(home.root, home.mail, now, partial(_by_sendmail, mail))
        moments = [moment for moment in (until, outgoing.next_try(home.mail)) if moment is not None]
        mark.note(home, was, min(moments, default=None), now)


def _by_sendmail(mail: Mail, message: bytes) -> None:
    from bkcore.notify import sendmail

    sendmail.send(mail.sendmail, mail.to, message)


def _turn(home: ClientHome | ServerHome, host: str, now: datetime, daily: str) -> datetime | None:
    """When something is due next."""
    from bkcore.alarms import daily as line
    from bkcore.alarms import scene
    from bkcore.alarms.problems import next_moment, problems
    from bkcore.notify import book as books
    from bkcore.notify import message, notices

    seen = scene.see(home, now)
    before = books.read(home.mail / ".book")
    book, news = books.turned(before, problems(seen), now)
    said = notices.all_of(home.mail)
    command = shell_line(["bkcore", "--home", str(home.root), "status"])
    if news or said:
        outgoing.put(home.mail, message.of_news(host, news, [notice.text for _, notice in said], command), now)
    book = line.told(home, host, seen, book, daily, command)
    if book != before:
        books.write(home.mail / ".book", book)
    notices.told(home.mail, [path for path, _ in said], now)
    moments = [book.next_moment(), next_moment(seen), line.next_moment(book, daily, now)]
    return min((moment for moment in moments if moment is not None), default=None)
