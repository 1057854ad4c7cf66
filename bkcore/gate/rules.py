"""The rules of a server as one value: what the files of gitosis-admin say together, and every fault in them at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from bkcore.config.client import name_faults
from bkcore.config.load import parse_record
from bkcore.config.server import ClientRecord
from bkcore.errors import ConfigError, Malformed
from bkcore.gate.access import ADMIN_REPOSITORY, CLIENTS, CONF, KEYDIR, Access, Right
from bkcore.gate.gitosis import is_member, parse_access
from bkcore.gate.keys import PublicKey, parse_key_file
from bkcore.request import is_client_name
from bkcore.safe import safe


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may do what, whose keys are whose, and how clients are dialled.

    keys: the member by key. records: by client.
    """

    access: Access
    keys: Mapping[PublicKey, str]
    records: Mapping[str, ClientRecord]

    def administrators(self) -> frozenset[str]:
        """The members that may write gitosis-admin and have a key to do it with."""
        return self.access.administrators() & frozenset(self.keys.values())

    def clients(self) -> list[str]:
        """The names of all repositories that somebody may write, apart from gitosis-admin; only those of clients."""
        targets = {rule.target for rule in self.access.rules if rule.right is Right.WRITE and rule.members}
        return sorted(name for name in targets - {ADMIN_REPOSITORY} if is_client_name(name))

    def notes(self) -> list[str]:
        """What is no fault and may be a mistake all the same."""
        granted = {member for rule in self.access.rules for member in rule.members}
        keyless = sorted(granted - set(self.keys.values()))
        return [*self.access.notes, *(f"{member} has rights and no key in {KEYDIR}/" for member in keyless)]


def is_rule(path: str) -> bool:
    """Whether a file of gitosis-admin means something here: the rest may lie there too and is not looked at."""
    place = PurePosixPath(path)
    folder, suffix = str(place.parent), place.suffix
    return path == CONF or (folder, suffix) in ((KEYDIR, ".pub"), (CLIENTS, ".toml"))


def parse_rules(files: Mapping[str, bytes], modules: Iterable[str]) -> Rules:
    """The rules that these files make: path → bytes, only those of is_rule. modules: names that no client can have.

    ConfigError has one line a fault, each with its file and, where there is one, its line.
    """
    faults: list[str] = []
    access = Access({}, (), {})
    keys: dict[PublicKey, str] = {}
    try:
        access = _access(files)
    except ConfigError as error:
        faults += str(error).splitlines()
    try:
        keys = parse_keydir({name: data for name, data in files.items() if name.startswith(f"{KEYDIR}/")})
    except ConfigError as error:
        faults += str(error).splitlines()
    records, wrong = _records(files, tuple(modules))
    if faults or wrong:
        raise ConfigError("\n".join([*faults, *wrong]))
    return Rules(access, keys, records)


def parse_keydir(files: Mapping[str, bytes]) -> dict[PublicKey, str]:
    """The member by key, of the files keydir/MEMBER.pub. ConfigError for what is no key or stands twice."""
    found: dict[PublicKey, str] = {}
    faults = []
    for path, data in sorted(files.items()):
        member = PurePosixPath(path).stem
        if not is_member(member):
            faults.append(f"{safe(path)}: no member can have that name: use letters, digits, @ . _ + and -")
            continue
        try:
            keys = parse_key_file(data.decode("utf-8"))
        except UnicodeDecodeError:
            faults.append(f"{safe(path)} is not UTF-8 text")
            continue
        except Malformed as error:
            faults += [f"{safe(path)}:{line}" for line in str(error).splitlines()]
            continue
        for number, key in keys:
            if key in found:
                faults.append(f"{safe(path)}:{number}: this key stands in {KEYDIR}/{found[key]}.pub already")
            found.setdefault(key, member)
    if faults:
        raise ConfigError("\n".join(faults))
    return found


def _access(files: Mapping[str, bytes]) -> Access:
    if CONF not in files:
        raise ConfigError(f"{CONF} is missing")
    try:
        return parse_access(files[CONF].decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(f"{CONF} is not UTF-8 text") from None


def _records(files: Mapping[str, bytes], modules: tuple[str, ...]) -> tuple[dict[str, ClientRecord], list[str]]:
    found: dict[str, ClientRecord] = {}
    faults: list[str] = []
    for path, data in sorted(files.items()):
        if not path.startswith(f"{CLIENTS}/"):
            continue
        name = PurePosixPath(path).stem
        faults += [f"{safe(path)}: the name {text}" for _, text in name_faults(name, modules)]
        try:
            found[name] = parse_record(safe(path), data)
        except ConfigError as error:
            faults += str(error).splitlines()
    return found, faults
