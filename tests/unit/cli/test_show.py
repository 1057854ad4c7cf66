"""`bkcore show`: every request that is not finished says its code, the evidence, the next try, and what can be done."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from fakes.ticks import CLIENT, SERVER, Ends, bodies, make_ends, request

from bkcore.cli import main
from bkcore.errors import BkError
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import Receipt
from bkcore.spool import Attempts, Claim, Pause, Pool, pauses
from bkcore.spool.attempts import save
from bkcore.state import CODES, PAUSED, Answer, Letter
from bkcore.tick import asking
from bkcore.tick.extract import extract

TEXT = "what the program said"
NEXT = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)

# What a person is told to look at: at the server where fetching failed, at the client where preparing did, and at the
# client whose server said so. "" where nothing need be done.
TOLD = {
    "unreachable": ("clients/web1.toml", "", "gets through to this machine"),
    "busy": ("", "", ""),
    "stalled": ("[limits]", "timeout of [source.files]", "network between here and main"),
    "host-key": ("host-keys of clients/web1.toml", "the log", "host key"),
    "no-space": ("reserve in bk.toml", "outbox-limit in bk.toml", "main's administrator has to free"),
    "quota": ("quota in clients/web1.toml", "", "larger quota"),
    "not-allowed": ("data-key", "right to read files", "data-key of [server.main]"),
    "not-configured": ("gitosis-admin", "name files in bk.toml", "clients/web1.toml"),
    "paused": ("end the pause", "end the pause", "main's administrator"),
    "id-reused": ("two machines", "", "ask for a backup of files anew"),
    "malformed": ("same version", "the log", "same version"),
    "frames": ("", "", ""),
    "source-failed": ("see on web1 why", "the log", "the log"),
    "damaged": ("verify what is stored of web1", "the log", "verify what is stored"),
}
ITSELF, ANEW = "it is tried again by itself", "ask for it again"


@pytest.fixture
def ends(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    folder = tmp_path_factory.mktemp("ends")
    (folder / "tree").mkdir()
    return make_ends(folder, f'[source.files]\nmodule = "directories"\npath = "{folder}/tree"\n')


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[[ClientHome | ServerHome, str], dict[str, list[str]]]:
    """What show says of a request, by the words at the left."""

    def show(home: ClientHome | ServerHome, identity: str) -> dict[str, list[str]]:
        assert main(["--home", str(home.root), "show", identity]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"{identity}: ")
        said: dict[str, list[str]] = {"state": [lines[0].partition(": ")[2]]}
        for line in lines[1:]:
            said.setdefault(line[2:10].strip(), []).append(line[11:])
        return said

    return show


Shown = Callable[[ClientHome | ServerHome, str], dict[str, list[str]]]


def tried(code: str) -> Attempts:
    return Attempts(count=3, code=code, text=TEXT, next_try=NEXT, since=NEXT - timedelta(hours=4))


def on_server(ends: Ends) -> str:
    (identity,) = made = bodies(request(1))
    ends.todo.accept(made)
    return identity


def claim_of(pool: Pool, identity: str) -> Claim:
    claim = pool.claim(pool.find(identity))
    assert claim is not None
    return claim


def offered(ends: Ends) -> str:
    identity = ends.wish("files")
    claim_of(ends.pool, identity).send()
    return identity


def assert_waits(said: dict[str, list[str]], code: str, told: str, verb: str) -> None:
    assert said["code"] == [code]
    assert any(TEXT in line for line in said["why"])
    assert said["next try"] == [f"{NEXT:%Y-%m-%d %H:%M:%SZ}"]
    assert (told or ITSELF) in said["do"][0]
    assert any(line.startswith(f"bkcore {verb} ") for line in said["do"])


def test_the_table_is_of_all_codes() -> None:
    assert set(TOLD) == CODES


@pytest.mark.parametrize("code", sorted(CODES - {PAUSED}))
def test_what_waits_at_a_server_says_why_when_and_what_to_do(ends: Ends, shown: Shown, code: str) -> None:
    identity = on_server(ends)
    ends.todo.note_attempts(identity, tried(code))
    said = shown(ends.server.home, identity)
    assert said["state"] == ["retrying"]
    assert_waits(said, code, TOLD[code][0].replace("files", "srv"), "retry")


@pytest.mark.parametrize("code", sorted(CODES - {PAUSED}))
def test_what_waits_at_a_client_says_why_when_and_what_to_do(ends: Ends, shown: Shown, code: str) -> None:
    identity = ends.wish("files")
    ends.pool.note_attempts(identity, tried(code))
    said = shown(ends.client.home, identity)
    assert said["state"] == ["retrying"]
    assert_waits(said, code, TOLD[code][1], "retry")


@pytest.mark.parametrize("code", sorted(CODES))
def test_what_a_server_answered_is_told_at_its_client_with_what_to_do_there(
    ends: Ends, shown: Shown, code: str
) -> None:
    identity = offered(ends)
    ends.pool.note_attempts(identity, msgspec.structs.replace(tried(code), answer=Answer.RETRYING))
    said = shown(ends.client.home, identity)
    assert said["state"] == ["paused" if code == PAUSED else "retrying"]
    assert_waits(said, code, TOLD[code][2], "cancel")
    assert any(line.startswith("main said: ") for line in said["why"])


@pytest.mark.parametrize("code", ["unreachable", "stalled", "host-key", "not-allowed", "no-space", "", "busy"])
def test_what_is_offered_over_a_line_that_does_not_work_says_so(ends: Ends, shown: Shown, code: str) -> None:
    identity = offered(ends)
    (ends.client.home.root / "control").mkdir(exist_ok=True)
    save(ends.client.home.line_tries(SERVER), tried(code))
    said = shown(ends.client.home, identity)
    assert said["state"] == ["to send"]
    assert said.get("code", [""]) == [code]
    assert any(f"main does not answer, for 2 h: {TEXT}" in line or TEXT in line for line in said["why"])
    assert said["next try"] == [f"{NEXT:%Y-%m-%d %H:%M:%SZ}"]
    assert not code or not said["do"][0].startswith("bkcore")


@pytest.mark.parametrize("state", [Answer.FAILED, Answer.REFUSED])
@pytest.mark.parametrize("code", sorted(CODES))
def test_what_failed_says_why_and_what_to_do_at_both_ends(ends: Ends, shown: Shown, code: str, state: Answer) -> None:
    theirs, mine = on_server(ends), offered(ends)
    server = claim_of(ends.todo, theirs)
    server.finish(ends.server.receipt(theirs, server.body, state, code, TEXT))
    told = Receipt(id=mine, of="0" * 64, server="main/1", state=state, at=ends.clock(), code=code, text=TEXT)
    claim_of(ends.pool, mine).finish(told)
    for home, identity, place in ((ends.server.home, theirs, 0), (ends.client.home, mine, 2)):
        said = shown(home, identity)
        assert said["state"] == [state]
        assert said["code"] == [code]
        assert any(TEXT in line for line in said["why"])
        assert "It waits for a person." in said["why"]
        wanted = TOLD[code][place].replace("files", "srv") if place == 0 else TOLD[code][place]
        assert (wanted or ANEW) in said["do"][0]
        can_be_tried = state is Answer.FAILED or isinstance(home, ClientHome)
        assert any(line.startswith(f"bkcore retry {identity}") for line in said["do"]) is can_be_tried
        assert any(line.startswith(f"bkcore cancel {identity}") for line in said["do"])


@pytest.mark.parametrize("what", [CLIENT, f"{CLIENT}:files", f"{CLIENT}:srv"])
def test_what_is_paused_says_who_since_when_until_when_why_and_what_ends_it(
    ends: Ends, shown: Shown, what: str
) -> None:
    pause = Pause(what=what, by="root", at=ends.clock(), until=NEXT, reason=TEXT)
    for home, label, identity in (
        (ends.client.home, "files", ends.wish("files")),
        (ends.server.home, "srv", on_server(ends)),
    ):
        pauses.begin(home.paused, pause)
        said = shown(home, identity)
        rests = what in (CLIENT, f"{CLIENT}:{label}")
        assert said["state"] == ["paused" if rests else "waiting"]
        if rests:
            assert said["why"][0] == f"{what} is paused {pause.text}."
            assert said["next try"] == [f"{NEXT:%Y-%m-%d %H:%M:%SZ}"]
            assert f"bkcore resume {what} --home {home.root}" in said["do"]


def test_a_request_that_waits_for_nothing_says_when_it_is_taken_up_and_how_to_take_it_back(
    ends: Ends, shown: Shown
) -> None:
    for home, identity in ((ends.client.home, ends.wish("files")), (ends.server.home, on_server(ends))):
        said = shown(home, identity)
        assert said["state"] == ["waiting"]
        assert "The next tick takes it up." in said["why"]
        assert said["do"] == [f"bkcore cancel {identity} --yes --home {home.root}"]


def test_a_request_that_is_worked_on_says_so(ends: Ends, shown: Shown) -> None:
    identity = on_server(ends)
    claim = claim_of(ends.todo, identity)
    assert shown(ends.server.home, identity)["why"] == ["It is being fetched now, try 0."]
    claim.release()


def test_one_that_nobody_can_read_is_kept_shown_and_can_be_settled(
    ends: Ends, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = request(7).id
    ends.offer({identity: b"\x1b[31mno request"})
    extract(ends.server, CLIENT)
    said = shown(ends.server.home, identity)
    assert (said["state"], said["code"], said["source"]) == (["refused"], ["malformed"], ["? (?), with web1"])
    assert "\x1b" not in "".join(said["why"])
    assert main(["--home", str(ends.server.home.root), "status"]) == 0
    assert identity in capsys.readouterr().out
    with pytest.raises(BkError, match="refused for what it is"):
        asking.retry(ends.server.home, identity)
    asking.cancel(ends.server.home, identity)
    assert [item.letter for item in ends.todo.items()] == [Letter.FINISHED]


def test_as_json_it_says_the_same(ends: Ends, capsys: pytest.CaptureFixture[str]) -> None:
    identity = on_server(ends)
    ends.todo.note_attempts(identity, tried("quota"))
    assert main(["--home", str(ends.server.home.root), "--json", "show", identity]) == 0
    said = json.loads(capsys.readouterr().out)["data"]
    assert (said["state"], said["code"], said["text"]) == ("retrying", "quota", TEXT)
    assert said["next_try"] == f"{NEXT:%Y-%m-%dT%H:%M:%SZ}"
    assert "raise quota" in said["remedy"]
    assert any(TEXT in line for line in said["why"])
    assert any("retry" in line for line in said["advice"])
