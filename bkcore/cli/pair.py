"""bkcore pair: a client and a server come to know each other by two files."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import own_home
from bkcore.cli.options import Verb
from bkcore.errors import Refused, UsageError
from bkcore.paths import ClientHome, ServerHome
from bkcore.safe import safe

if TYPE_CHECKING:
    from bkcore.setup.identity import Door
    from bkcore.setup.pairing import Answer, Offer

_ETC = Path("/etc")
_STDIN = Path("-")


@click.command(
    cls=Verb,
    examples=["bkcore pair --offer > web1.toml", "bkcore pair web1.toml > answer.toml", "bkcore pair answer.toml"],
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--offer", is_flag=True, help="Give this client's offer, for a server.")
@click.option("--address", default="", help="Where the other end finds this machine; else the end's name.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port of its ssh server; else 22, or that of serve.")
@click.option("--user", default="", help="The account there; else the home's owner.")
@click.option(
    "--host-key-file",
    "host_keys",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A public host key of its ssh server; else those in /etc/ssh, or that of serve.",
)
def pair(
    frame: Frame,
    file: Path | None,
    offer: bool,  # noqa: FBT001 - click calls it
    address: str,
    port: int | None,
    user: str,
    host_keys: tuple[Path, ...],
) -> Result:
    """Let a client and a server know each other by two files, neither of which is secret.

    The client's --offer goes to the server, which takes it and gives its answer; the client takes that. FILE is the
    offer or the answer, - for standard input. Compare the fingerprints that are shown: whoever carries the files could
    have changed them. Doing it twice changes nothing.
    """
    from bkcore.setup.identity import door_of

    if offer == (file is not None):
        raise UsageError("one of --offer and FILE", hint="on the client: bkcore pair --offer > offer.toml")
    home = own_home(frame, "pair", plans=True)
    if isinstance(home, ClientHome) and file is not None:
        return _take_answer(frame, home, file)
    door = door_of(home, _ETC, address=address, port=port or 0, user=user, host_key_files=host_keys)
    if isinstance(home, ClientHome):
        return _offer(home, door)
    if file is None:
        raise UsageError(f"{home.root} is a server's home, and a client makes the offer", hint="run this there")
    return _take_offer(frame, home, file, door)


def _offer(home: ClientHome, door: "Door") -> Result:
    from bkcore.modules import config_of, modules_of, sources_of
    from bkcore.setup.pairing import offer_of

    config = config_of(home)
    labels = [source.label for source in sources_of(config, modules_of(home.root))]
    return _given(offer_of(home, door, labels), changed=False)


def _take_offer(frame: Frame, home: ServerHome, file: Path, door: "Door") -> Result:
    from bkcore import journal
    from bkcore.setup.admission import admission, admit
    from bkcore.setup.pairing import Answer, answer_of

    offer = _read(file)
    if isinstance(offer, Answer):
        raise Refused(f"{safe(str(file))} is the answer of a server: it is taken on the client {offer.client}")
    changes = admission(home, offer)
    if changes:
        _agree(frame, offer, f"let {offer.name} in?")
    answer = answer_of(home, door, offer)
    if frame.dry_run:
        frame.say(f"would change in gitosis-admin: {', '.join(sorted(changes)) or 'nothing'}")
        return _given(answer, changed=False)
    changed = admit(home, offer)
    if changed:
        journal.write(home.root, "paired", client=offer.name, key=offer.key, address=offer.address)
    frame.say(f"{offer.name} is let in; give the answer to it" if changed else f"{offer.name} was let in already")
    return _given(answer, changed=changed)


def _take_answer(frame: Frame, home: ClientHome, file: Path) -> Result:
    from bkcore import journal
    from bkcore.setup.linking import check_answer, is_linked, link
    from bkcore.setup.pairing import Offer

    answer = _read(file)
    if isinstance(answer, Offer):
        raise Refused(f"{safe(str(file))} is the offer of {answer.name}: it is taken on the server")
    check_answer(home, answer)
    if not is_linked(home, answer):
        _agree(frame, answer, f"send requests to {answer.name}, and let it fetch?")
    if frame.dry_run:
        frame.say(f"would {'keep' if is_linked(home, answer) else 'write'} [server.{answer.name}] in {home.config}")
        return Result()
    changed = link(home, answer)
    if changed:
        journal.write(home.root, "paired", server=answer.name, key=answer.key, url=answer.url)
    frame.say(f"{answer.name} is known from now on" if changed else f"{answer.name} was known already")
    return Result({"server": answer.name}, changed=changed)


def _agree(frame: Frame, said: "Offer | Answer", question: str) -> None:
    from bkcore.setup.pairing import shown

    for line in shown(said):
        frame.say(line)
    if not frame.dry_run:
        frame.confirm(question)


def _read(file: Path) -> "Offer | Answer":
    from bkcore.setup.pairing import LARGEST, parse_pairing

    if file == _STDIN:
        return parse_pairing("standard input", sys.stdin.buffer.read(LARGEST + 1))
    with file.open("rb") as opened:
        return parse_pairing(str(file), opened.read(LARGEST + 1))


def _given(said: "Offer | Answer", *, changed: bool) -> Result:
    """A file for the other end, on stdout."""
    from bkcore.setup.pairing import written

    text = written(said)
    return Result({"kind": said.kind, "name": said.name, "file": text}, text.splitlines(), changed=changed)
