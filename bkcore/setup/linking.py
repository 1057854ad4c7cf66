"""A client takes a server into its configuration: where requests go, and whose key may fetch its data."""

import tomllib
from collections.abc import Sequence

from bkcore import durable
from bkcore.config.client import ServerLink
from bkcore.config.load import decode, refuse_faults
from bkcore.errors import BkError, Refused
from bkcore.gate.keys import parse_key
from bkcore.gate.regenerate import write_client_keys
from bkcore.paths import ClientHome
from bkcore.safe import safe
from bkcore.setup import files
from bkcore.setup.identity import name_of, public_key
from bkcore.setup.pairing import Answer


def links_of(home: ClientHome) -> dict[str, ServerLink]:
    """The servers of a client's configuration, read without its sources."""
    tables = tomllib.loads(home.config.read_text(encoding="utf-8")).get("server", {})
    return {name: decode(values, ServerLink) for name, values in tables.items()}


def check_answer(client: ClientHome, answer: Answer) -> None:
    """Refused when an answer is for somebody else, or the server's name is known with another key."""
    name, key = name_of(client), public_key(client)
    if answer.client != name:
        raise Refused(
            f"this answer is for {answer.client}, and this client is {name}", hint="take the file of this one"
        )
    if parse_key(answer.client_key) != key:
        raise Refused(
            f"this answer is for another key of {name}: {parse_key(answer.client_key).fingerprint}",
            hint=f"this client has {key.fingerprint} now: begin anew with bkcore pair --offer",
        )
    known = links_of(client).get(answer.name)
    if known is not None and known.data_key and parse_key(known.data_key) != parse_key(answer.key):
        raise Refused(
            f"{answer.name} is known here with another key than {parse_key(answer.key).fingerprint}",
            hint=f"if its key was made anew, take [server.{safe(answer.name)}] out of {client.config} first",
        )


def is_linked(client: ClientHome, answer: Answer) -> bool:
    """Whether the configuration says of the server what the answer says."""
    known = links_of(client).get(answer.name)
    return known is not None and (known.url, known.host_keys, known.data_key) == (
        answer.url,
        answer.host_keys,
        answer.key,
    )


def link(client: ClientHome, answer: Answer, dialled_from: Sequence[str] | None = None) -> bool:
    """Know the server from now on, and let its key in for its verbs. Whether anything changed. Repeatable.

    dialled_from: the addresses that its key may be used from; None leaves that as it is.
    """
    check_answer(client, answer)
    folders = (client.pool(answer.name), client.outbox(answer.name), client.bases(answer.name))
    missing = [folder for folder in folders if not folder.is_dir()]
    for folder in missing:
        durable.make_folder(folder)
    text = client.config.read_text(encoding="utf-8")
    written = files.put(client.config, _with_link(client, text, answer, dialled_from).encode())
    return write_client_keys(client, links_of(client)) or written or bool(missing)


def _with_link(client: ClientHome, text: str, answer: Answer, dialled_from: Sequence[str] | None) -> str:
    """The configuration with this server in it; what else it says of the server stays."""
    before = tomllib.loads(text).get("server", {}).get(answer.name, {})
    facts = {"url": answer.url, "host-keys": answer.host_keys, "data-key": answer.key}
    if dialled_from is not None:
        facts["from"] = list(dialled_from)
    wanted = {**before, **facts}
    refuse_faults(decode(wanted, ServerLink))
    if before != wanted:
        text = files.put_table(text, ("server", answer.name), wanted)
    text = files.put_value(text, "default-server", answer.name)
    if _read_back(text, answer.name) != decode(wanted, ServerLink):
        table = files.table(("server", answer.name), wanted)
        raise BkError(f"{client.config} is not in a form that can be added to", hint=f"write there:\n{table}")
    return text


def _read_back(text: str, name: str) -> ServerLink | None:
    try:
        return decode(tomllib.loads(text)["server"][name], ServerLink)
    except ValueError:
        return None
