"""What is told, as a message that starts with its Subject, as the sendmail program takes it.

One line a thing, and the command to run as the last line. Whatever came from outside is harmless already: one printable
line (safe). The subject is ASCII, so that no header needs encoding.
"""

from collections.abc import Iterable, Iterator, Sequence

from bkcore.notify.book import Known, News
from bkcore.safe import safe

_LONGEST = 900
# Things of one kind that are named; a server that lost its network has hundreds.
_NAMED = 40
_HEADERS = (
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "Auto-Submitted: auto-generated",
)


def of_news(host: str, news: News, notices: Sequence[str], command: str) -> bytes:
    """What opened, ended and is open. notices: what happened once, a line each. command: the last line."""
    counts = [(len(news.new) + len(notices), "new"), (len(news.recovered), "recovered"), (len(news.open), "open")]
    subject = ", ".join(f"{count} {word}" for count, word in counts if count)
    old = [known for known in news.open if known not in news.new]
    parts = [
        *_part("new", [*notices, *_lines(news.new)]),
        *_part("recovered", [known.text for known in news.recovered]),
        *_part("still open", _lines(old)),
    ]
    return message(host, subject, [*parts, command])


def message(host: str, subject: str, lines: Iterable[str]) -> bytes:
    """A whole message: `Subject: [bk] HOST: SUBJECT`, the headers, an empty line, the lines."""
    first = f"Subject: [bk] {safe(host, 80)}: {safe(subject, 120)}".encode("ascii", "replace").decode()
    body = "\n".join(safe(line, _LONGEST) for line in lines)
    return "\n".join([first, *_HEADERS, "", body, ""]).encode("utf-8", "backslashreplace")


def _part(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in lines)
        yield ""


def _lines(found: Sequence[Known]) -> list[str]:
    lines = []
    for known in found[:_NAMED]:
        lines.append(f"{known.text} (since {known.seen:%Y-%m-%d %H:%MZ})")
        lines += [f"    {known.command}"] if known.command else []
    return [*lines, f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else lines
