"""The steps of setting up, on a machine whose /etc is a folder and whose programs are told what to say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bkcore.errors import BkError, ProgramMissing, Refused, UsageError
from bkcore.paths import ClientHome
from bkcore.process import Done
from bkcore.setup import accounts, cron, sshd
from bkcore.setup.initialise import admin_key_of, administrator_of
from bkcore.setup.machine import Account, Machine
from bkcore.setup.steps import Step, take

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMcXjzRSVrWBE3P/HYB1lj0MTcn0SV8rylLFVabQdO6T"
Answer = tuple[int, bytes, bytes]


@dataclass
class Programs:
    """What each program says: (status, out, err), one after the other and the last one from then on. calls: so far."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    given: list[bytes] = field(default_factory=list)

    def find(self, name: str) -> str | None:
        return f"/usr/sbin/{name}" if name in self.answers else None

    def __call__(self, argv: Sequence[str], given: bytes) -> Done:
        name = Path(argv[0]).name
        self.calls.append((name, *argv[1:]))
        self.given.append(given)
        said = self.answers[name]
        status, out, err = said.pop(0) if len(said) > 1 else said[0]
        return Done(tuple(argv), status, out, err)


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Machine]:
    (tmp_path / "etc" / "ssh" / "sshd_config.d").mkdir(parents=True)
    (tmp_path / "etc" / "cron.d").mkdir()

    def make(programs: Programs, *known: Account) -> Machine:
        return Machine(
            etc=tmp_path / "etc",
            proc=tmp_path / "proc",
            superuser=True,
            find=programs.find,
            execute=programs,
            account=lambda name: next((each for each in known if each.name == name), None),
        )

    return make


def drop_in(machine: Machine, tmp_path: Path) -> Step:
    return sshd.drop_in(machine, "backupsrv", tmp_path / "authorized_keys")


def in_force(tmp_path: Path, pid_file: str = "none") -> bytes:
    return f"authorizedkeysfile {tmp_path}/authorized_keys\npidfile {pid_file}\n".encode()


def test_steps_are_told_taken_in_order_and_not_taken_twice() -> None:
    made: list[str] = []
    steps = [Step(name, lambda name=name: name not in made, lambda name=name: made.append(name)) for name in "ab"]  # type: ignore[misc]
    said: list[str] = []
    assert [each.changed for each in take(steps, said.append, dry_run=True)] == [True, True]
    assert made == []
    assert [each.changed for each in take(steps, said.append, dry_run=False)] == [True, True]
    assert [each.changed for each in take(steps, said.append, dry_run=False)] == [False, False]
    assert made == ["a", "b"]
    assert [line.split()[0] for line in said] == ["would", "would", "making:", "making:", "there", "there"]


def test_an_error_ends_it_and_what_was_made_is_found_next_time() -> None:
    made: list[str] = []

    def fail() -> None:
        if len(made) == 1:
            made.append("tried")
            raise BkError("no")
        made.append("b")

    steps = [Step("a", lambda: "a" not in made, lambda: made.append("a")), Step("b", lambda: "b" not in made, fail)]
    with pytest.raises(BkError):
        take(steps, print, dry_run=False)
    assert [each.changed for each in take(steps, print, dry_run=False)] == [False, True]


def test_a_drop_in_is_kept_when_sshd_takes_it_and_goes_by_it(machine: Callable[..., Machine], tmp_path: Path) -> None:
    programs = Programs({"sshd": [(0, b"", b""), (0, b"", b""), (0, in_force(tmp_path), b"")]})
    step = drop_in(machine(programs), tmp_path)
    assert step.missing()
    step.make()
    assert not step.missing()
    (kept,) = (tmp_path / "etc" / "ssh" / "sshd_config.d").iterdir()
    assert "Match User backupsrv\n" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("before", [None, b"# ours, older\n"])
@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([(255, b"", b"bad configuration option\n")], "as it was"),
        ([(0, b"", b""), (255, b"", b"line 3: no\n")], "refuses its settings with"),
        ([(0, b"", b""), (0, b"", b""), (0, b"authorizedkeysfile elsewhere\n", b"")], "does not go by"),
    ],
)
def test_a_drop_in_that_sshd_refuses_or_passes_over_is_taken_back(
    machine: Callable[..., Machine], tmp_path: Path, answers: list[Answer], told: str, before: bytes | None
) -> None:
    place = tmp_path / "etc" / "ssh" / "sshd_config.d" / "backupsrv.conf"
    if before is not None:
        place.write_bytes(before)
    with pytest.raises(BkError, match=told):
        drop_in(machine(Programs({"sshd": list(answers)})), tmp_path).make()
    assert (place.read_bytes() if place.exists() else None) == before
    assert [path.name for path in place.parent.iterdir()] == ([place.name] if before is not None else [])


def test_a_drop_in_that_was_never_checked_is_made_again(machine: Callable[..., Machine], tmp_path: Path) -> None:
    """A death between writing and checking leaves a mark that sshd does not read."""
    programs = Programs({"sshd": [(0, b"", b""), (0, b"", b""), (0, in_force(tmp_path), b"")]})
    step = drop_in(machine(programs), tmp_path)
    folder = tmp_path / "etc" / "ssh" / "sshd_config.d"
    (folder / "backupsrv.conf.unchecked").touch()
    (folder / "backupsrv.conf").write_text("nonsense that would stop sshd\n")
    assert step.missing()
    step.make()
    assert [path.name for path in folder.iterdir()] == ["backupsrv.conf"]
    assert not step.missing()


def test_a_running_sshd_is_told(machine: Callable[..., Machine], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    (tmp_path / "proc" / "77").mkdir(parents=True)
    (tmp_path / "proc" / "77" / "comm").write_text("sshd\n")
    (tmp_path / "pid").write_text("77\n")
    programs = Programs({"sshd": [(0, b"", b""), (0, b"", b""), (0, in_force(tmp_path, f"{tmp_path}/pid"), b"")]})
    on = replace(machine(programs), signal=lambda number, what: told.append((number, what)))
    drop_in(on, tmp_path).make()
    assert told == [(77, 1)]
    (tmp_path / "proc" / "77" / "comm").write_text("another\n")
    on.reload("sshd", 77)
    assert len(told) == 1


def test_the_other_lines_of_a_crontab_stay(machine: Callable[..., Machine], tmp_path: Path) -> None:
    programs = Programs({"crontab": [(0, b"5 4 * * * mine", b"")]})
    step = cron.own_cron(machine(programs), ClientHome(tmp_path / "home"))
    assert step.missing()
    step.make()
    assert programs.calls[-1] == ("crontab", "-")
    first, ours = programs.given[-1].decode().splitlines()
    assert first == "5 4 * * * mine"
    assert ours.endswith("/scripts/send_request")


def test_a_crontab_that_cannot_be_read_is_not_written(machine: Callable[..., Machine], tmp_path: Path) -> None:
    programs = Programs({"crontab": [(1, b"", b"you are not allowed to use this program\n")]})
    step = cron.own_cron(machine(programs), ClientHome(tmp_path / "home"))
    with pytest.raises(BkError, match="not allowed"):
        step.make()
    assert {call[1] for call in programs.calls} == {"-l"}


def test_a_first_crontab_is_made(machine: Callable[..., Machine], tmp_path: Path) -> None:
    programs = Programs({"crontab": [(1, b"", b"no crontab for me\n"), (0, b"", b"")]})
    cron.own_cron(machine(programs), ClientHome(tmp_path / "home")).make()
    assert programs.given[-1].decode().count("\n") == 1


def test_without_cron_the_machine_lacks_a_folder_and_that_is_said(
    machine: Callable[..., Machine], tmp_path: Path
) -> None:
    (tmp_path / "etc" / "cron.d").rmdir()
    step = cron.system_cron(machine(Programs()), ClientHome(tmp_path / "home"), "backupclient")
    with pytest.raises(BkError, match=r"there is no .*cron\.d") as caught:
        step.make()
    assert "apt-get install cron" in caught.value.hint


def test_percent_signs_mean_themselves_in_a_crontab() -> None:
    assert cron.crontab_line(ClientHome(Path("/srv/a b%c"))).endswith(r"'/srv/a b\%c/scripts/send_request'")


@pytest.mark.parametrize(
    ("folder", "shell", "told"),
    [("/elsewhere", "/bin/sh", "with the home /elsewhere"), ("/home", "/usr/sbin/nologin", "runs nothing for ssh")],
)
def test_a_user_who_does_not_fit_is_left_alone(
    machine: Callable[..., Machine], folder: str, shell: str, told: str
) -> None:
    known = Account("backupsrv", 900, 900, Path(folder), shell)
    with pytest.raises(Refused, match=told):
        accounts.user(machine(Programs(), known), "backupsrv", Path("/home"))


def test_a_user_who_cannot_be_made_is_said(machine: Callable[..., Machine]) -> None:
    on = machine(Programs({"useradd": [(9, b"", b"useradd: group exists\n")]}))
    with pytest.raises(BkError, match="group exists"):
        accounts.user(on, "backupsrv", Path("/home")).make()
    with pytest.raises(ProgramMissing, match="useradd"):
        accounts.user(machine(Programs()), "backupsrv", Path("/home")).make()


def test_a_folder_that_is_full_of_other_things_is_not_given_away(
    machine: Callable[..., Machine], tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "file").touch()
    known = Account("backupsrv", 900, 900, tmp_path / "home", "/bin/sh")
    with pytest.raises(Refused, match="is not empty"):
        accounts.home_folder(machine(Programs(), known), "backupsrv", tmp_path / "home").make()
    assert (tmp_path / "home").stat().st_uid != 900


@pytest.mark.parametrize("text", ["", "nonsense", f'command="x" {KEY} a', f"{KEY}", f"{KEY} two words/and+odd^ones"])
def test_an_administrators_key_needs_a_name(text: str) -> None:
    with pytest.raises(UsageError):
        admin_key_of(text)


def test_an_administrator_is_named_after_the_key() -> None:
    assert administrator_of(admin_key_of(f"{KEY} alice@laptop\n")) == "alice@laptop"
