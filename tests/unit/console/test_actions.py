"""The registry of actions: every key means one thing on a screen, and every screen does what it offers."""

from dataclasses import replace

import pytest

from bkconsole.actions import ACTS, SCREENS, act_named, acts_of, clashes
from bkconsole.app import _VIEWS
from bkcore.end.actions import Action


def test_no_key_means_two_things_on_one_screen() -> None:
    assert clashes() == []


def test_a_clash_is_told_with_screen_key_and_both_actions() -> None:
    twice = (*ACTS, replace(act_named("retry"), id="other"))
    assert "todo: r is both retry and other" in clashes(twice)


@pytest.mark.parametrize("screen", SCREENS)
def test_every_screen_fulfils_what_it_offers(screen: str) -> None:
    assert [act.id for act in acts_of(screen) if not callable(getattr(_VIEWS[screen], f"act_{act.id}", None))] == []


def test_every_verb_that_an_action_needs_exists() -> None:
    known = {f"do.{kind.__struct_config__.tag}" for kind in Action.__args__}
    assert {act.verb for act in ACTS if act.verb} <= known


def test_ids_are_unique_and_every_action_says_what_it_does() -> None:
    assert len({act.id for act in ACTS}) == len(ACTS)
    assert all(act.help[0].isupper() and act.word and act.keys for act in ACTS)


@pytest.mark.parametrize("screen", SCREENS)
def test_the_footer_begins_with_what_is_done_most(screen: str) -> None:
    assert [act.id for act in acts_of(screen)][:3] == ["open", "help", "quit"]
