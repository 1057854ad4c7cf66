"""The spool: name = state, lock = life."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bkcore import durable
from bkcore.request import Receipt, Wish, digest, new_id
from bkcore.spool import Item, Pool
from bkcore.spool.attempts import Attempts
from bkcore.state import Answer, Letter, Method, Role

NOW = datetime(2026, 11, 23, 3, 19, 49, tzinfo=UTC)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    made = Pool(tmp_path / "main", Role.CLIENT)
    made.create()
    return made


def wish(path: str = "/home") -> Wish:
    return Wish(
        id=new_id(NOW, 0),
        client="web1",
        source="home",
        module="directories",
        method=Method.RSYNC,
        created=NOW,
        path=path,
    )


def only(pool: Pool) -> Item:
    (item,) = pool.items()
    return item


def receipt(item: Item, state: Answer) -> Receipt:
    return Receipt(id=item.id, of=digest(b""), server="", state=state, at=NOW)


def test_a_wish_is_submitted_whole_and_waits(pool: Pool) -> None:
    done = pool.submit(wish(), NOW)
    assert not done.merged
    assert (only(pool).letter, only(pool).id) == (Letter.COMPLETE, done.id)


def test_an_equal_wish_merges_with_one_that_waits_and_waits_behind_one_that_is_worked_on(pool: Pool) -> None:
    first = pool.submit(wish(), NOW)
    assert pool.submit(wish(), NOW).id == first.id
    claim = pool.claim(only(pool))
    assert claim is not None
    assert not pool.submit(wish(), NOW).merged
    claim.release()


def test_many_wishes_at_once_are_durable_together_and_merge_as_single_ones_do(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = pool.submit(wish("/a"), NOW)
    syncs = []
    for name in ("_sync", "_sync_all"):
        real = getattr(durable, name)
        monkeypatch.setattr(durable, name, lambda *given, real=real: syncs.append(real(*given)))
    done = pool.submit_all([wish(path) for path in ("/a", *map(str, range(500)), "/b", "/b")], NOW)
    assert (done[0].id, done[0].merged) == (waiting.id, True)
    assert (done[-1].id, done[-1].merged, done[-2].merged) == (done[-2].id, True, False)
    assert len({each.id for each in done}) == len(pool.items()) == 502
    assert len(syncs) < 10


def test_a_sequence_number_is_given_away_once(pool: Pool) -> None:
    done = [*pool.submit_all([wish("/a"), wish("/b")], NOW), pool.submit(wish("/c"), NOW)]
    assert [each.id.split("-")[1] for each in done] == ["00001", "00002", "00003"]


def test_two_paths_are_two_wishes(pool: Pool) -> None:
    pool.submit(wish("/a"), NOW)
    assert not pool.submit(wish("/b"), NOW).merged


def test_a_request_has_one_holder(pool: Pool) -> None:
    pool.submit(wish(), NOW)
    item = only(pool)
    claim = pool.claim(item)
    assert claim is not None
    assert pool.claim(item) is None
    assert pool.claim(only(pool)) is None
    claim.release()


def test_a_request_whose_holder_died_waits_again(pool: Pool) -> None:
    pool.submit(wish(), NOW)
    claim = pool.claim(only(pool))
    assert claim is not None
    assert pool.recover() == []
    claim.release()
    assert len(pool.recover()) == 1
    assert only(pool).letter is Letter.COMPLETE


def test_the_later_letter_decides_and_the_older_one_goes(pool: Pool) -> None:
    pool.submit(wish(), NOW)
    item = only(pool)
    durable.create(item.at(Letter.FINISHED), b"")
    assert only(pool).letter is Letter.FINISHED
    pool.recover()
    assert not item.at(Letter.COMPLETE).exists()


@pytest.mark.parametrize(("answer", "letter"), [(Answer.STORED, "F"), (Answer.FAILED, "E"), (Answer.REFUSED, "E")])
def test_failing_never_looks_like_finishing(pool: Pool, answer: Answer, letter: str) -> None:
    pool.submit(wish(), NOW)
    claim = pool.claim(only(pool))
    assert claim is not None
    ended = receipt(claim.item, Answer.CANCELLED if answer is Answer.STORED else answer)
    claim.finish(ended)
    assert only(pool).letter.value == letter
    assert pool.outcome(only(pool)).raw_body == claim.body


def test_the_old_letter_stays_until_the_end_is_durable(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.submit(wish(), NOW)
    claim = pool.claim(only(pool))
    assert claim is not None
    item = claim.item

    def cut(*_: object) -> None:
        raise OSError(5, "cut")

    monkeypatch.setattr(durable, "_link", cut)
    with pytest.raises(OSError, match="cut"):
        claim.finish(receipt(item, Answer.CANCELLED))
    assert item.path.exists()


def test_a_pushed_batch_waits_under_its_own_ids(tmp_path: Path) -> None:
    todo = Pool(tmp_path / "web1", Role.SERVER)
    todo.create()
    bodies = {new_id(NOW, number): b"x" for number in range(50)}
    todo.accept(bodies)
    assert {item.id: item.letter for item in todo.items()} == dict.fromkeys(bodies, Letter.COMPLETE)
    assert list((tmp_path / "web1" / ".incomplete").iterdir()) == []


def test_half_written_files_are_swept(pool: Pool) -> None:
    (pool.folder / "idirectories:x").write_bytes(b"half")
    (pool.folder / ".incomplete" / "RQx").write_bytes(b"half")
    assert len(pool.recover()) == 2
    assert pool.items() == []


def test_what_is_noted_beside_the_requests_is_not_taken_away_half_written_by_a_recovery(pool: Pool) -> None:
    rounds = 200
    with ThreadPoolExecutor() as threads:
        recovering = threads.submit(lambda: [pool.recover() for _ in range(rounds)])
        for at in range(rounds):
            pool.note_peer(Attempts(count=at))
            pool.note(".sources.toml", b"format = 1\n")
        recovering.result()
    assert pool.peer_tries().count == rounds - 1
    pool.forget_peer()
    assert pool.peer_tries() == Attempts()
