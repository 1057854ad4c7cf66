"""What flows between neighbours."""

import pytest

from bkcore.flow import Seldom


class Counting:
    """A Stop that is set from the third question on."""

    asked = 0

    def is_set(self) -> bool:
        self.asked += 1
        return self.asked >= 3


def test_a_stop_that_is_asked_often_asks_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("bkcore.flow.time.monotonic", lambda: now)
    slow = Counting()
    stop = Seldom(slow, every=0.5)
    assert not any(stop.is_set() for _ in range(1000))
    assert slow.asked == 1
    now += 0.5
    assert not stop.is_set()
    now += 0.5
    assert stop.is_set()
