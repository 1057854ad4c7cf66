"""gitosis-admin as the manual has it: cloned, edited and pushed with git, over OpenSSH's own server."""

import getpass
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.counted import Attacks
from fakes.sshd import Sshd
from fakes.typed import typed

from bkcore import journal
from bkcore.gate.keys import make_pair
from bkcore.paths import ServerHome

pytestmark = pytest.mark.timeout(120)

Done = subprocess.CompletedProcess[str]
Files = dict[str, str | None]
VARIANT = """\
gitosis
\tloglevel = INFO
@gitosis-admin = alice@laptop
@web = backupclient@web1 'backupclient@web2'
repo gitosis-admin
\tRW+ = @gitosis-admin
repo web1
\tRW+ = backupclient@web1
\tR = bob
repo web2
\tRW+ = @web
"""


def run(argv: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> Done:
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


def in_force(home: ServerHome) -> dict[str, bytes]:
    """Everything that decides about access."""
    files = [*home.access.rglob("*"), home.ssh / "authorized_keys"]
    return {str(path): path.read_bytes() for path in files if path.is_file()}


@dataclass(frozen=True)
class Office:
    """A server's home behind a real sshd, and an administrator's machine with a clone of gitosis-admin."""

    home: ServerHome
    port: int
    folder: Path

    @property
    def clone(self) -> Path:
        return self.folder / "gitosis-admin"

    def key(self, name: str) -> str:
        """The public key of somebody, whose private one lies on the administrator's machine."""
        made = make_pair(self.folder / "keys" / name, name)
        return f"{made.line} {made.comment}\n"

    def git(self, *words: str, key: str = "alice@laptop", cwd: Path | None = None, options: str = "") -> Done:
        """git, as the owner of a key types it."""
        ssh = f"ssh -F none -i {self.folder}/keys/{key} -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes"
        known = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR {options}"
        who = {f"GIT_{part}_{what}": "x" for part in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_SSH_COMMAND": f"{ssh} {known}", **who}
        return subprocess.run(
            ["git", *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False
        )

    def url(self, repository: str) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}/{repository}"

    def write(self, **files: str | None) -> None:
        """Change files of the clone and commit them; None takes one away."""
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_bytes(os.fsencode(text))
        assert self.git("add", "-A", cwd=self.clone).returncode == 0
        assert self.git("commit", "-qm", "x", cwd=self.clone).returncode == 0

    def push(self, *words: str) -> Done:
        return self.git("push", "-q", *(words or ("origin", "master")), cwd=self.clone)

    def take_back(self) -> None:
        """Forget what was refused."""
        assert self.git("reset", "-q", "--hard", "origin/master", cwd=self.clone).returncode == 0

    def reaches(self, repository: str, key: str, options: str = "") -> bool:
        return self.git("ls-remote", self.url(repository), key=key, options=options).returncode == 0


@pytest.fixture
def office(tmp_path: Path, sshd: Callable[[Path], Sshd]) -> Office:
    root = tmp_path / "server"
    made = Office(ServerHome(root), 0, tmp_path / "office")
    (made.folder / "keys").mkdir(parents=True)
    (made.folder / "alice.pub").write_text(made.key("alice@laptop"))
    words = ("init", "server", "main", str(root), "--own", "--none", "--admin-key", str(made.folder / "alice.pub"))
    assert typed(*words).returncode == 0
    office = Office(made.home, sshd(root).port, made.folder)
    cloned = office.git("clone", "-q", office.url("gitosis-admin.git"), str(office.clone))
    assert cloned.returncode == 0, cloned.stderr
    return office


def test_a_client_is_let_in_by_a_push_and_put_out_by_the_next(office: Office) -> None:
    web1 = office.key("backupclient@web1")
    assert not office.reaches("web1.git", "backupclient@web1")
    conf = (office.clone / "gitosis.conf").read_text()
    grant = "\n[group web1]\nwritable = web1\nmembers = backupclient@web1\n"
    office.write(**{"gitosis.conf": conf + grant, "keydir/backupclient@web1.pub": web1})
    done = office.push()
    assert (done.returncode, done.stderr) == (0, "remote: bk: in force from now on        \n")
    assert office.reaches("web1.git", "backupclient@web1")
    assert not office.reaches("gitosis-admin.git", "backupclient@web1")
    assert office.home.pool("web1").is_dir()
    (told,) = [each for each in journal.read(office.home.root) if each["event"] == "access changed" and each["member"]]
    assert told["member"] == "alice@laptop"
    office.write(**{"keydir/backupclient@web1.pub": None})
    assert office.push().returncode == 0
    assert not office.reaches("web1.git", "backupclient@web1")


def test_a_connection_that_was_open_before_is_refused_too(office: Office) -> None:
    office.write(**{"gitosis.conf": VARIANT, "keydir/bob.pub": office.key("bob")})
    assert office.push().returncode == 0
    shared = f"-o ControlMaster=auto -o ControlPath={office.folder}/mux -o ControlPersist=60"
    assert office.reaches("web1.git", "bob", shared)
    office.write(**{"keydir/bob.pub": None})
    assert office.push().returncode == 0
    assert (office.folder / "mux").exists()
    assert not office.reaches("web1.git", "bob", shared)
    subprocess.run(
        ["ssh", "-O", "exit", "-o", f"ControlPath={office.folder}/mux", "x"], capture_output=True, check=False
    )


def test_the_manuals_form_of_the_file_works_unchanged(office: Office) -> None:
    keys = {f"keydir/{name}.pub": office.key(name) for name in ("backupclient@web1", "backupclient@web2", "bob")}
    office.write(**{"gitosis.conf": VARIANT, **keys})
    done = office.push()
    assert done.returncode == 0, done.stderr
    assert "loglevel: ignored" in done.stderr
    for repository, key, may in [
        ("web1.git", "backupclient@web1", True),
        ("web2.git", "backupclient@web1", True),
        ("web1.git", "backupclient@web2", False),
        ("web1.git", "bob", True),
        ("gitosis-admin.git", "bob", False),
        ("gitosis-admin.git", "alice@laptop", True),
    ]:
        assert office.reaches(repository, key) is may, (repository, key)
    refused = office.git("push", "-q", office.url("web1.git"), "master", key="bob", cwd=office.clone)
    assert refused.returncode != 0


def test_all_faults_of_a_push_come_in_one_answer_and_nothing_changes(office: Office) -> None:
    before = in_force(office.home)
    alice = office.key("alice@laptop")
    office.write(
        **{
            "gitosis.conf": VARIANT.replace("@web =", "@web = @nobody") + "repo ../x\n\tRW = bob\n",
            "keydir/bob.pub": f'command="x" {office.key("bob")}',
            "keydir/carol.pub": f"# hers\n{alice}",
            "keydir/-e.pub": office.key("e"),
            "clients/web1.toml": 'format = 1\nadress = "web1"\nhost-keys = []\n',
            "clients/git.toml": "format = 1\n",
        }
    )
    done = office.push()
    assert done.returncode == 1
    said = [line.removeprefix("remote: ").strip() for line in done.stderr.splitlines()]
    refusals = [line for line in said if line.startswith("bk: refused: ")]
    for told in (
        "gitosis.conf:4: there is no group @nobody",
        "gitosis.conf:13: ../x cannot be the name of a repository",
        "keydir/bob.pub:1: this is no public key",
        "keydir/carol.pub:2: this key stands in keydir/alice@laptop.pub already",
        "keydir/-e.pub: no member can have that name",
        "clients/web1.toml:2: adress: ",
        "clients/git.toml: the name is a name that the system uses itself",
    ):
        assert any(told in line for line in refusals), (told, refusals)
    assert in_force(office.home) == before
    office.take_back()
    office.write(**{"keydir/bob.pub": office.key("bob")})
    assert office.push().returncode == 0


@pytest.mark.parametrize("how", ["key", "group", "conf", "all"])
def test_the_last_administrator_cannot_lock_everybody_out(office: Office, how: str) -> None:
    conf = (office.clone / "gitosis.conf").read_text()
    changes: Mapping[str, dict[str, str | None]] = {
        "key": {"keydir/alice@laptop.pub": None},
        "group": {"gitosis.conf": conf.replace("alice@laptop", "")},
        "conf": {"gitosis.conf": None},
        "all": {"gitosis.conf": "", "keydir/alice@laptop.pub": None},
    }
    office.write(**changes[how])
    done = office.push()
    assert done.returncode == 1
    assert "bk: refused: " in done.stderr
    assert office.reaches("gitosis-admin.git", "alice@laptop")


def bad_pushes(office: Office) -> Iterator[tuple[str, Files, str]]:
    """What it is, the files, and what is told of it, with the line."""
    alice, bob, conf = office.key("alice@laptop"), office.key("bob"), (office.clone / "gitosis.conf").read_text()
    yield "no section", {"gitosis.conf": f"{conf}nonsense\n"}, "gitosis.conf:"
    yield "an open bracket", {"gitosis.conf": f"[group x\n{conf}"}, "gitosis.conf:1"
    yield "bytes that are no text", {"gitosis.conf": f"{conf}\udcff\n"}, "gitosis.conf"
    yield (
        "a circle of groups",
        {"gitosis.conf": f"{conf}[group a]\nmembers = @b\n[group b]\nmembers = @a\n"},
        "gitosis.conf:",
    )
    yield "a group of itself", {"gitosis.conf": f"{conf}[group a]\nmembers = @a\n"}, "gitosis.conf:"
    yield "nobody's group", {"gitosis.conf": f"{conf}[group a]\nmembers = @nobody\n"}, "there is no group @nobody"
    for name in ("../x", "/etc/x", "a//b", "-x", "x;id", "b\x1b[2J", ".git", "x" * 300):
        yield (
            f"repository {name[:9]!r}",
            {"gitosis.conf": f"{conf}[group a]\nmembers = bob\nwritable = {name}\n"},
            "gitosis.conf:",
        )
    options = ('command="id"', 'from="*"', "no-pty", "cert-authority", 'environment="LD_PRELOAD=x"', 'permitopen="*:*"')
    for option in options:
        yield f"option {option}", {"keydir/bob.pub": f"{option} {bob}"}, "keydir/bob.pub:1"
    yield "two keys in a line", {"keydir/bob.pub": f"{bob.strip()} {alice}"}, "keydir/bob.pub:1"
    yield "two keys and a CR", {"keydir/bob.pub": f"{bob.strip()}\r{alice}"}, "keydir/bob.pub:2"
    yield "somebody else's key", {"keydir/bob.pub": alice}, "keydir/bob.pub:1"
    yield "one key twice in a file", {"keydir/bob.pub": bob + bob}, "keydir/bob.pub:2"
    yield "no key", {"keydir/bob.pub": "ssh-ed25519 AAAA bob\n"}, "keydir/bob.pub:1"
    yield "a private key", {"keydir/bob.pub": "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"}, "keydir/bob.pub:1"
    for name in ("-e", ".hidden", "a b", "a;id", "é\u202ex", "x" * 200):
        yield f"member {name[:9]!r}", {f"keydir/{name}.pub": bob}, "no member can have that name"
    yield "unknown key", {"clients/web1.toml": "format = 1\nadress = 'x'\n"}, "clients/web1.toml:2"
    yield "broken TOML", {"clients/web1.toml": "format = \n"}, "clients/web1.toml:1"
    yield (
        "an option as address",
        {"clients/web1.toml": f"format = 1\naddress = '-oProxyCommand=id'\nhost-keys = ['{bob.strip()}']\n"},
        "clients/web1.toml:2",
    )
    for name in ("git", "rsync", "gitosis-admin", "..", "UPPER", "-x"):
        yield f"client {name}", {f"clients/{name}.toml": "format = 1\n"}, f"clients/{name}.toml"


def test_no_bad_push_of_an_administrator_comes_in_force(office: Office, attacks: Attacks) -> None:
    pushes = list(bad_pushes(office))
    attacks.tried(len(pushes))
    before = in_force(office.home)
    for what, files, told in pushes:
        office.write(**files)
        done = office.push()
        assert done.returncode == 1, (what, done.stderr)
        assert told in done.stderr, (what, done.stderr)
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stderr
        office.take_back()
    assert in_force(office.home) == before
    attacks.refused("sshd", "pushes of an administrator")


def test_the_branch_goes_forward_only_and_no_other_ref_is_taken(office: Office) -> None:
    office.write(**{"keydir/bob.pub": office.key("bob")})
    assert office.push().returncode == 0
    assert office.push("origin", "+HEAD~1:master").returncode == 1
    assert office.push("origin", ":master").returncode == 1
    assert office.push("origin", "HEAD:refs/heads/other").returncode == 1
    assert office.push("origin", "HEAD:refs/tags/v1").returncode == 1
    assert (office.home.access / "keydir" / "bob.pub").exists()


@pytest.mark.parametrize("kind", ["link", "submodule", "large"])
def test_links_submodules_and_huge_files_are_refused(office: Office, kind: str) -> None:
    if kind == "link":
        (office.clone / "keydir" / "bob.pub").symlink_to("/etc/passwd")
    elif kind == "submodule":
        head = office.git("rev-parse", "HEAD", cwd=office.clone).stdout.strip()
        office.git("update-index", "--add", "--cacheinfo", f"160000,{head},keydir/x", cwd=office.clone)
    else:
        (office.clone / "keydir" / "bob.pub").write_text("#" * (1 << 20) + "\n")
    if kind != "submodule":
        office.git("add", "-A", cwd=office.clone)
    assert office.git("commit", "-qm", "x", cwd=office.clone).returncode == 0
    done = office.push()
    assert done.returncode == 1
    assert "bk: refused: keydir/" in done.stderr
    assert not (office.home.access / "keydir" / "bob.pub").exists()


def test_a_hook_that_died_is_made_up_for_by_the_next_tick(office: Office) -> None:
    hook = office.home.root / "scripts" / "hooks" / "post-update"
    hook.write_text("#!/bin/sh\nkill -9 $$\n")
    office.write(**{"keydir/bob.pub": office.key("bob")})
    office.push()
    assert not (office.home.access / "keydir" / "bob.pub").exists()
    assert typed("--home", str(office.home.root), "tick").returncode == 0
    assert (office.home.access / "keydir" / "bob.pub").exists()
    assert "--member bob" in (office.home.ssh / "authorized_keys").read_text()


def test_the_servers_own_user_repairs_it_without_any_key(office: Office, tmp_path: Path) -> None:
    """The administrator has lost the key: a clone on the server itself, by the account that the server runs as."""
    repository, clone = office.home.repository("gitosis-admin"), tmp_path / "repair"
    assert office.git("clone", "-q", str(repository), str(clone)).returncode == 0
    (clone / "keydir" / "alice@laptop.pub").write_text(office.key("new"))
    assert office.git("commit", "-qam", "a new key", cwd=clone).returncode == 0
    done = office.git("push", "-q", "origin", "master", cwd=clone)
    assert done.returncode == 0, done.stderr
    assert office.reaches("gitosis-admin.git", "new")
    assert not office.reaches("gitosis-admin.git", "alice@laptop")
    (clone / "keydir" / "alice@laptop.pub").write_text("nonsense\n")
    assert office.git("commit", "-qam", "broken", cwd=clone).returncode == 0
    assert office.git("push", "-q", "origin", "master", cwd=clone).returncode == 1


def test_a_pair_made_by_files_and_an_administrators_push_agree(office: Office, tmp_path: Path) -> None:
    """What `pair` did is a commit that the administrator fetches, and goes on from."""
    client = tmp_path / "client"
    assert typed("init", "client", "web1", str(client), "--own", "--none").returncode == 0
    host = ("--host-key-file", str(office.home.ssh / "host_ed25519.pub"), "--address", "127.0.0.1")
    offered = typed("--home", str(client), "pair", "--offer", *host)
    assert offered.returncode == 0, offered.stderr
    (tmp_path / "offer").write_text(offered.stdout)
    taken = typed("--home", str(office.home.root), "pair", str(tmp_path / "offer"), "--yes", *host)
    assert taken.returncode == 0, taken.stderr
    assert office.git("pull", "-q", cwd=office.clone).returncode == 0
    assert (office.clone / "clients" / "web1.toml").exists()
    office.write(**{"clients/web1.toml": (office.clone / "clients" / "web1.toml").read_text() + 'quota = "5G"\n'})
    assert office.push().returncode == 0
    assert 'quota = "5G"' in office.home.record("web1").read_text()
