"""The two files of a pair: what is written is read again, and nothing else is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.errors import BkError, Malformed
from bkcore.setup.pairing import LARGEST, Answer, Offer, parse_pairing, shown, written

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMcXjzRSVrWBE3P/HYB1lj0MTcn0SV8rylLFVabQdO6T"
HOST = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMHM/gV0+NDptHUmH74zl6hRglJQqUlEDGn0Akp5VEjj"
OFFER = Offer(format=1, kind="offer", name="web1", key=KEY, address="web1.example.org", user="me", host_keys=[HOST])
ANSWER = Answer(
    format=1,
    kind="answer",
    name="main",
    key=HOST,
    url="ssh://backupsrv@main.example.org:22/web1.git",
    host_keys=[KEY],
    client="web1",
    client_key=KEY,
)

labels = st.lists(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True), max_size=5, unique=True)
clients = st.from_regex(r"host-[a-z0-9-]{0,20}", fullmatch=True)


@given(clients, labels, st.integers(1, 65535))
def test_what_is_written_is_read_again(name: str, sources: list[str], port: int) -> None:
    offer = Offer(
        format=1,
        kind="offer",
        name=name,
        key=KEY,
        address="2001:db8::1",
        port=port,
        user="me",
        host_keys=[HOST],
        sources=sources,
    )
    assert parse_pairing("offer.toml", written(offer).encode()) == offer


@given(st.binary(max_size=400))
def test_anything_else_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(BkError) as caught:
        parse_pairing("file", data)
    assert "file" in str(caught.value)


@given(st.integers(0, 600), st.sampled_from([OFFER, ANSWER]))
def test_a_file_that_was_cut_short_is_refused(length: int, said: Offer | Answer) -> None:
    whole = written(said).encode()
    data = whole[: min(length, len(whole) - 2)]
    with pytest.raises(BkError):
        parse_pairing("file", data)


def test_a_file_that_is_too_long_is_not_read_on() -> None:
    with pytest.raises(Malformed, match="longer than"):
        parse_pairing("file", b"#" * (LARGEST + 1))


@pytest.mark.parametrize(
    ("said", "change", "told"),
    [
        (OFFER, ('kind = "offer"', "kind = 1"), "no kind offer or answer"),
        (OFFER, ("format = 1", "format = 2"), "format"),
        (OFFER, ("port = 22", "port = 70000"), "port"),
        (OFFER, ('name = "web1"', 'name = "Web/1"'), "name"),
        (OFFER, ('user = "me"', 'user = "-oProxyCommand=x"'), "user"),
        (OFFER, ('address = "web1.example.org"', 'address = "-x"'), "address"),
        (OFFER, (f'host-keys = ["{HOST}"]', "host-keys = []"), "host-keys"),
        (OFFER, ('user = "me"', 'user = "me"\nsources = ["../x"]'), "sources"),
        (ANSWER, ("ssh://", "file://"), "url"),
        (ANSWER, ('name = "main"', 'name = "../main"'), "name"),
    ],
)
def test_each_fault_is_told_by_its_key(said: Offer | Answer, change: tuple[str, str], told: str) -> None:
    text = written(said)
    assert change[0] in text
    with pytest.raises(BkError, match=told):
        parse_pairing("file", text.replace(*change, 1).encode())


def test_what_is_to_be_compared_is_shown() -> None:
    lines = "\n".join(shown(OFFER))
    assert "SHA256:vP/kMOMAF0tgoZGCmR9Fz3YCsRHjjmt0vY3smcRvxko" in lines
    assert "me@web1.example.org port 22" in lines
    assert "ssh://backupsrv@main.example.org:22/web1.git" in "\n".join(shown(ANSWER))
