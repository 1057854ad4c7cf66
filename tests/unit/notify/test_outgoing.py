"""Messages wait until they go out, in their order; nothing from outside stands in them as it came."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from fakes.mailer import Mailer
from hypothesis import given
from hypothesis import strategies as st

from bkcore import journal
from bkcore.errors import BkError
from bkcore.notify import message, notices, outgoing, sendmail
from bkcore.notify.book import Book, Problem, turned

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


class Way:
    """Sends into a list, or fails."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.broken = False

    def __call__(self, text: bytes) -> None:
        if self.broken:
            raise BkError("no relay")
        self.sent.append(text)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path


def send(home: Path, way: Way, *, later: timedelta = timedelta()) -> None:
    outgoing.send(home, home / "mail", NOW + later, way)


def test_messages_go_out_in_their_order_and_then_are_gone(home: Path) -> None:
    way = Way()
    for number in range(12):
        outgoing.put(home / "mail", b"%d" % number, NOW)
    send(home, way)
    assert way.sent == [b"%d" % number for number in range(12)]
    assert outgoing.waiting(home / "mail") == []


def test_what_cannot_be_sent_waits_and_is_tried_again_later(home: Path) -> None:
    way = Way()
    way.broken = True
    outgoing.put(home / "mail", b"one", NOW)
    send(home, way)
    assert [event["event"] for event in journal.read(home)] == ["mail not sent"]
    way.broken = False
    send(home, way, later=timedelta(minutes=1))
    assert way.sent == []
    due = outgoing.next_try(home / "mail")
    assert due is not None
    assert timedelta(minutes=3) < due - NOW < timedelta(minutes=7)
    send(home, way, later=timedelta(minutes=7))
    assert (way.sent, outgoing.next_try(home / "mail")) == ([b"one"], None)


def test_a_hundred_wait_at_the_most_and_the_newest_stay(home: Path) -> None:
    way = Way()
    for number in range(103):
        outgoing.put(home / "mail", b"%d" % number, NOW + timedelta(seconds=number))
    send(home, way)
    assert way.sent == [b"%d" % number for number in range(3, 103)]


def test_the_program_is_called_with_i_and_the_addresses_and_nothing_else(tmp_path: Path) -> None:
    mailer = Mailer(tmp_path / "mailer")
    sendmail.send(str(mailer.program), ["root", "ops@example.org"], b"Subject: x\n\nbody\n")
    (sent,) = mailer.sent
    assert (sent.words, sent.text) == (["-i", "root", "ops@example.org"], "Subject: x\n\nbody\n")


def test_what_a_failing_program_says_is_told_harmless(tmp_path: Path) -> None:
    mailer = Mailer(tmp_path / "mailer")
    mailer.fails(yes=True)
    with pytest.raises(sendmail.NotSent, match=r"ended with 75: no route to the relay\\x1b\[31m"):
        sendmail.send(str(mailer.program), ["root"], b"x")


def test_a_message_of_news_says_what_is_new_over_and_open_and_ends_with_the_command() -> None:
    away, late = Problem("a", "web1 does not answer", "bkcore status"), Problem("b", "web2 is late", after=timedelta())
    book, _ = turned(Book(), [away], NOW - timedelta(days=1))
    book, _ = turned(book, [away], NOW - timedelta(hours=3))
    book, news = turned(book, [late], NOW)
    text = message.of_news("main", news, ["web3 sent an id again"], "bkcore --home /data/backup status").decode()
    assert text.splitlines()[0] == "Subject: [bk] main: 2 new, 1 recovered, 1 open"
    assert text.splitlines()[-1] == "bkcore --home /data/backup status"
    assert "new:\n  web3 sent an id again\n  web2 is late (since 2026-11-23 03:00Z)\n" in text
    assert "recovered:\n  web1 does not answer\n" in text


@given(st.text(max_size=200), st.text(max_size=400), st.text(max_size=200))
def test_nothing_from_outside_makes_a_header_or_a_control_byte(host: str, line: str, subject: str) -> None:
    made = message.message(host, subject, [line])
    assert all(byte >= 0x20 or byte == 0x0A for byte in made)
    parsed = message_from_bytes(made, policy=policy.default)
    assert set(parsed.keys()) == {
        "Subject",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Auto-Submitted",
    }
    assert made.partition(b"\n\n")[2].count(b"\n") == 1


def test_a_thousand_problems_make_a_message_that_a_person_reads() -> None:
    _, news = turned(Book(), [Problem(str(n), f"web{n} is late", after=timedelta()) for n in range(1000)], NOW)
    text = message.of_news("main", news, [], "bkcore status").decode()
    assert "and 960 more" in text
    assert len(text.splitlines()) < 60


def test_a_notice_is_told_once_a_day_however_often_it_is_met(tmp_path: Path) -> None:
    for _ in range(3):
        notices.put(tmp_path, "web1 7", "again", NOW)
    ((path, notice),) = notices.all_of(tmp_path)
    assert notice.text == "again"
    notices.told(tmp_path, [path], NOW)
    notices.put(tmp_path, "web1 7", "again", NOW + timedelta(hours=1))
    assert notices.all_of(tmp_path) == []
    notices.put(tmp_path, "web1 7", "again", NOW + timedelta(days=2))
    assert len(notices.all_of(tmp_path)) == 1
