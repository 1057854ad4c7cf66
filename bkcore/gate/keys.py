"""authorized_keys: reading it as sshd does, and writing the part of it that the product manages.

The managed block stands first, because sshd takes the first line that has the key: a copy of the same key that somebody
added by hand below it gives nothing more. Lines added by hand stay as they are.
"""

import binascii
import hashlib
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bkcore import durable, process
from bkcore.config.values import key_is_whole
from bkcore.errors import BkError, Malformed, UsageError
from bkcore.safe import safe

# The files of an end's own keys, in its .ssh folder: for dialling out, and of its embedded server.
KEY = "id_ed25519"
HOST_KEY = "host_ed25519"

_BEGIN = "# bk: begin: written by the Backup System, changes between here and the end mark are lost"
_END = "# bk: end"

_KIND = re.compile(r"ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)|sk-[a-z0-9-]{1,40}@openssh\.com")
_OPTION = re.compile(r'([A-Za-z0-9-]+)(?:="((?:[^"\\]|\\.)*)")?(,|(?=[ \t]))')
# What may stand in the quotes of an option without meaning something else to sshd or to a line.
_QUOTABLE = re.compile(r"[^\x00-\x1f\x7f\\]+")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key. kind: "ssh-ed25519" and the like. blob: base64. The comment plays no part in comparing."""

    kind: str
    blob: str
    comment: str = field(default="", compare=False)

    @property
    def line(self) -> str:
        """The key without its comment, as configurations carry it."""
        return f"{self.kind} {self.blob}"

    @property
    def fingerprint(self) -> str:
        """As ssh and ssh-keygen -l show it: "SHA256:…"."""
        digest = hashlib.sha256(binascii.a2b_base64(self.blob)).digest()
        return "SHA256:" + binascii.b2a_base64(digest, newline=False).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One line of authorized_keys. options: by lower-case name, "" for those without a value."""

    options: Mapping[str, str]
    key: PublicKey


def parse_key(text: str) -> PublicKey:
    """A public key that stands alone: type, base64, comment. Malformed names what is wrong."""
    words = text.split(None, 2)
    if len(words) < 2 or _KIND.fullmatch(words[0]) is None:
        raise Malformed("this is no public key: it must start with its type, such as ssh-ed25519, and have no options")
    kind, blob = words[:2]
    comment = words[2].strip() if len(words) > 2 else ""
    if any(_KIND.fullmatch(word) for word in comment.split()):
        raise Malformed("two keys in one line")
    if not comment.isprintable():
        raise Malformed("the comment has characters that cannot be shown")
    if not key_is_whole(f"{kind} {blob}"):
        raise Malformed("the key is not whole: copy it again")
    return PublicKey(kind, blob, comment)


def parse_key_file(text: str) -> list[tuple[int, PublicKey]]:
    """The keys of a keydir/*.pub with their line numbers. Malformed has one line a fault."""
    found, faults = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            found.append((number, parse_key(line)))
        except Malformed as error:
            faults.append(f"{number}: {error.text}")
    if faults:
        raise Malformed("\n".join(faults))
    return found


def parse_lines(text: str) -> Iterator[KeyLine]:
    """The lines of authorized_keys that sshd would consider, in order; what cannot be read is passed over, as there."""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            try:
                options, rest = _split_options(stripped)
                yield KeyLine(options, parse_key(rest))
            except Malformed:
                continue


def gate_command(*words: str) -> tuple[str, ...]:
    """The command line of a hidden gate command: needs no PATH, no PYTHONPATH and no working folder."""
    return (sys.executable, "-I", "-m", "bkcore", "gate", *words)


def forced_line(command: Sequence[str], key: PublicKey, hosts: Sequence[str] = ()) -> str:
    """A line that gives a key one command and nothing else, from these hosts only. UsageError for unquotable words."""
    options = ["restrict"]
    if hosts:
        options.append(f'from="{_quoted(",".join(hosts))}"')
    options.append(f'command="{_quoted(shlex.join(command))}"')
    return f"{','.join(options)} {key.line} {key.comment}".rstrip()


def regenerate(path: Path, lines: Iterable[str]) -> bool:
    """Put these lines into the managed block, atomically. Whether anything changed."""
    try:
        before = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        before = ""
    after = "\n".join([_BEGIN, *lines, _END, *_by_hand(path, before), ""])
    if after == before:
        return False
    durable.make_folder(path.parent)
    durable.replace(path, after.encode("utf-8", "surrogateescape"))
    return True


def make_pair(path: Path, comment: str) -> PublicKey:
    """The public half of the ed25519 pair at path, which is made when it is missing. BkError if ssh-keygen fails."""
    public = path.with_name(path.name + ".pub")
    if not path.exists():
        durable.make_folder(path.parent)
        staged = path.with_name(f".{path.name}.new")
        durable.remove(staged)
        _keygen("-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(staged))
        durable.sync_file(staged)
        durable.remove(staged.with_name(staged.name + ".pub"))
        durable.move(staged, path)
    if not public.exists():
        durable.replace(public, _keygen("-y", "-f", str(path)))
    return parse_key(public.read_text(encoding="utf-8"))


def _keygen(*options: str) -> bytes:
    done = process.run(["ssh-keygen", *options], total=60)
    if done.status != 0:
        raise BkError(f"ssh-keygen: {safe(done.err.strip(), 200)}")
    return done.out


def _by_hand(path: Path, text: str) -> list[str]:
    """The lines that are not ours. BkError when our block has no end: it cannot be told then what is whose."""
    lines = text.splitlines()
    if _BEGIN not in lines:
        return lines
    begin = lines.index(_BEGIN)
    if _END not in lines[begin:]:
        raise BkError(f"{path}: the line {_END!r} is gone", hint="put it back behind the managed lines")
    return lines[:begin] + lines[lines.index(_END, begin) + 1 :]


def _quoted(text: str) -> str:
    if _QUOTABLE.fullmatch(text) is None:
        raise UsageError(f"{safe(text)} cannot stand in authorized_keys", hint="use a path of ordinary characters")
    return text.replace('"', '\\"')


def _split_options(line: str) -> tuple[dict[str, str], str]:
    options: dict[str, str] = {}
    if _KIND.fullmatch(line.split(None, 1)[0]):
        return options, line
    at = 0
    while True:
        match = _OPTION.match(line, at)
        if match is None:
            raise Malformed("options that cannot be read")
        options.setdefault(match[1].lower(), (match[2] or "").replace('\\"', '"'))
        at = match.end()
        if match[3] != ",":
            return options, line[at:].strip()
