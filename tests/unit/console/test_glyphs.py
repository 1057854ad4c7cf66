"""Every state has a glyph, a word and a tone, in both sets of characters."""

from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from bkconsole.glyphs import (
    ASCII,
    UNICODE,
    Charset,
    Sign,
    charset_of,
    health_sign,
    job_sign,
    node_sign,
    request_sign,
    source_sign,
)
from bkconsole.tones import TONES
from bkcore.end.rows import Health, JobState, NodeKind, SourceRow
from bkcore.state import PAUSED, Answer, Letter, Role, word

WORDS = {PAUSED} | {
    word(role, letter, answer)
    for role in Role
    for letter in Letter
    for answer in (None, *Answer)
    if not (role is Role.SERVER and letter is Letter.SEND and answer is None)
}
SIGNS = [
    *map(health_sign, Health),
    *map(request_sign, sorted(WORDS)),
    *map(node_sign, NodeKind),
    *map(job_sign, JobState),
]

# Unicode's emoji with a coloured, two-cell form in some terminals, among the blocks that signs are taken from.
EMOJI = set("▶◀☠⚠✔✖⏸⏹⏺↗↘↔↕▪▫◼◻⬛⬜●⚪")


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.word)
def test_every_sign_is_one_cell_a_word_and_a_known_tone(sign: Sign) -> None:
    assert cell_len(sign.glyph) == len(sign.glyph) == 1
    assert len(sign.plain) == 1
    assert sign.plain.isascii()
    assert sign.tone in TONES | {""}
    assert sign.word
    assert sign.glyph not in EMOJI - {"●"}


@pytest.mark.parametrize("charset", [UNICODE, ASCII])
def test_states_of_one_kind_are_told_apart_without_colour(charset: Charset) -> None:
    for kind in ([*map(health_sign, Health)], [*map(node_sign, NodeKind)], [*map(job_sign, JobState)]):
        assert len({sign.mark(charset) for sign in kind}) == len(kind)
        assert len({sign.word for sign in kind}) == len(kind)


def test_failing_never_looks_like_finishing() -> None:
    assert request_sign("failed").mark(ASCII) != request_sign("finished").mark(ASCII)
    for word_ in ("refused", "cancelled", "superseded", "need", "failed"):
        assert request_sign(word_).tone != "ok"
        assert request_sign(word_).mark(UNICODE) != request_sign("stored").mark(UNICODE)


def test_a_word_of_a_newer_end_keeps_its_text() -> None:
    assert request_sign("teleported").text(UNICODE) == "? teleported"


def test_the_ascii_set_is_ascii_and_every_character_is_one_cell() -> None:
    assert all(str(value).isascii() for value in asdict(ASCII).values())
    for charset in (UNICODE, ASCII):
        drawn = [value for name, value in asdict(charset).items() if isinstance(value, str) and name != "arrow"]
        assert all(cell_len(value) == len(value) for value in drawn)


def test_an_app_may_choose_its_characters() -> None:
    class App:
        charset = ASCII

    assert charset_of(App()) is ASCII
    assert charset_of(object()) is UNICODE


def test_a_source_whose_other_end_does_not_answer_is_away_unless_something_worse_is_the_case() -> None:
    row = SourceRow(
        id="i",
        peer="web1",
        source="s",
        module="git",
        path="/s",
        health=Health.WAITING,
        away=datetime(2026, 11, 25, tzinfo=UTC),
    )
    assert source_sign(row).word == "away"
    assert source_sign(replace(row, health=Health.FAILED)).word == "failed"
    assert source_sign(replace(row, away=None)).word == "waiting"
