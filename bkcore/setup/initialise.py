"""`bkcore init`: the steps that make an end of this machine, as root with a user of its own, else for oneself."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bkcore.config.client import Mail
from bkcore.controlline import repository as repositories
from bkcore.controlline.shape import MASTER
from bkcore.errors import BkError, Malformed, UsageError
from bkcore.gate.access import ADMIN_REPOSITORY, CONF, KEYDIR, access_of
from bkcore.gate.gitosis import parse_access
from bkcore.gate.keys import PublicKey, parse_key
from bkcore.gate.regenerate import AUTHORIZED_KEYS
from bkcore.paths import ClientHome, ServerHome
from bkcore.setup import accounts, admin, cron, sshd
from bkcore.setup.homes import create_client_home, create_server_home, is_whole
from bkcore.setup.machine import Machine
from bkcore.setup.steps import Step
from bkcore.state import Role
from bkcore.tick.admin import add


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was said to `bkcore init`. name: URL_of_this_machine. user: whose the home is, "" for one's own.

    admin_key: of the first administrator of a server. cron: whether cron is to start the ticks.
    """

    role: Role
    name: str
    folder: Path
    user: str = ""
    mail: Mail = field(default_factory=Mail)
    admin_key: PublicKey | None = None
    cron: bool = True

    @property
    def home(self) -> ClientHome | ServerHome:
        """The home that is to be there."""
        return ClientHome(self.folder) if self.role is Role.CLIENT else ServerHome(self.folder)


def steps(machine: Machine, wanted: Wanted) -> list[Step]:
    """All steps, in order. Refused and UsageError for what cannot be; nothing was changed then."""
    if not wanted.user:
        own = own_steps(wanted)
        return [*own, cron.own_cron(machine, wanted.home)] if wanted.cron else own
    accounts.require_interpreter(machine)
    found = [
        accounts.user(machine, wanted.user, wanted.folder),
        accounts.home_folder(machine, wanted.user, wanted.folder),
        _as_user(machine, wanted),
    ]
    if sshd.is_installed(machine):
        found.append(sshd.drop_in(machine, wanted.user, wanted.home.ssh / AUTHORIZED_KEYS))
    if wanted.cron:
        found.append(cron.system_cron(machine, wanted.home, wanted.user))
    return found


def own_steps(wanted: Wanted) -> list[Step]:
    """The steps inside the home, as its owner."""
    home = wanted.home
    found = [
        Step(
            f"the home of the {wanted.role} {wanted.name} in {wanted.folder}, with its key and commands",
            lambda: not is_whole(home, wanted.name),
            lambda: _create(wanted),
        )
    ]
    if isinstance(home, ServerHome):
        repository = home.repository(ADMIN_REPOSITORY)
        found.append(
            Step(
                f"the repository {ADMIN_REPOSITORY}",
                lambda: repositories.tip(repository, MASTER) is None,
                lambda: admin.make(home),
            )
        )
        if wanted.admin_key is not None:
            found.append(_administrator(home, wanted.admin_key))
    return found


def administrator_of(key: PublicKey) -> str:
    """The name of an administrator: the comment of the key, as gitosis does it. UsageError when that is no name."""
    name = key.comment.split()[-1] if key.comment else ""
    try:
        parse_access(f"[group gitosis-admin]\nmembers = {name}\n")
    except BkError:
        name = ""
    if not name:
        raise UsageError(
            "the administrator's key has no comment that could be a name",
            hint="write a name such as alice@laptop behind the key",
        )
    return name


def admin_key_of(text: str) -> PublicKey:
    """The key in an administrator's public key file. UsageError if it is none."""
    try:
        key = parse_key(text.strip())
    except Malformed as error:
        raise UsageError(
            f"--admin-key: {error.text}", hint="name a public key file such as ~/.ssh/id_ed25519.pub"
        ) from None
    administrator_of(key)
    return key


def mail_of(sendmail: str, to: tuple[str, ...]) -> Mail:
    """Who is told, as it was said. UsageError for what is no program and no address."""
    try:
        return msgspec.convert({"sendmail": sendmail, "to": list(to)}, Mail)
    except msgspec.ValidationError:
        raise UsageError(
            "--mail wants addresses or local users, and --sendmail the full path of a program",
            hint="such as --mail root --sendmail /usr/sbin/sendmail",
        ) from None


def _create(wanted: Wanted) -> None:
    create = create_client_home if wanted.role is Role.CLIENT else create_server_home
    create(wanted.folder, wanted.name, mail=wanted.mail)


def _administrator(home: ServerHome, key: PublicKey) -> Step:
    """The first administrator. A server that has one takes others by a push of theirs."""
    name = administrator_of(key)
    return Step(
        f"the administrator {name}",
        lambda: not (home.access / CONF).exists() or not access_of(home.root).administrators(),
        lambda: add(home, _appointed(home, name, key), f"{name} administers"),
    )


def _appointed(home: ServerHome, name: str, key: PublicKey) -> dict[str, bytes]:
    text = (home.access / CONF).read_text(encoding="utf-8")
    ours = text.replace("[group gitosis-admin]\nwritable = gitosis-admin\nmembers =\n", _APPOINTED.format(name=name))
    if name not in parse_access(ours).administrators():
        ours = f"{text.rstrip()}\n\n{_APPOINTED.format(name=name)}"
    if name not in parse_access(ours).administrators():
        raise BkError(f"{home.access / CONF} is not in a form that can be added to")
    return {CONF: ours.encode(), f"{KEYDIR}/{name}.pub": f"{key.line} {key.comment}\n".encode()}


_APPOINTED = "[group gitosis-admin]\nwritable = gitosis-admin\nmembers = {name}\n"


def _as_user(machine: Machine, wanted: Wanted) -> Step:
    """All that lies in the home, made by the user itself: root follows no name that somebody else could have put."""
    inside = own_steps(wanted)
    return Step(
        inside[0].what,
        lambda: any(step.missing() for step in inside),
        lambda: _init_as_user(machine, wanted),
    )


def _init_as_user(machine: Machine, wanted: Wanted) -> None:
    words = ["init", str(wanted.role), wanted.name, str(wanted.folder), "--own", "--none", "--yes", "--json"]
    words += [word for address in wanted.mail.to for word in ("--mail", address)]
    if wanted.mail.sendmail:
        words += ["--sendmail", wanted.mail.sendmail]
    given = b""
    if wanted.admin_key is not None:
        words += ["--admin-key", "-"]
        given = f"{wanted.admin_key.line} {wanted.admin_key.comment}\n".encode()
    done = accounts.as_user(machine, wanted.user, wanted.folder, *words, given=given)
    if done.status != 0:
        raise _told(done.out, done.err, wanted.user)


class _Failure(msgspec.Struct):
    text: str
    hint: str = ""


class _Envelope(msgspec.Struct):
    errors: list[_Failure]


def _told(out: bytes, err: bytes, user: str) -> BkError:
    """What the user's own set-up said was wrong."""
    try:
        (first, *_) = msgspec.json.decode(out, type=_Envelope).errors
    except (msgspec.DecodeError, ValueError):
        return BkError(f"set-up as {user} failed: {err.decode('utf-8', 'replace').strip()[-300:]}")
    return BkError(first.text, hint=first.hint)


def standard_user(role: Role) -> str:
    """The manual's name for the user of an end."""
    return "backupclient" if role is Role.CLIENT else "backupsrv"


def standard_folder(role: Role) -> Path:
    """The manual's place for the home of an end."""
    return Path("/var/backup" if role is Role.CLIENT else "/data/backup")
