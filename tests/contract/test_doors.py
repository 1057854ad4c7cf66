"""One decision, two doors: OpenSSH's forced command and `bkcore serve` give the same answers to the same questions."""

import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from fakes.door import Door
from fakes.embedded import Embedded
from fakes.sshd import Sshd
from fakes.world import Pair, git, make_pair

from bkcore import confine, journal
from bkcore.controlline.server import create_repository
from bkcore.gate.keys import HOST_KEY, KEY
from bkcore.gate.keys import make_pair as make_key
from bkcore.gate.regenerate import write_client_keys
from bkcore.setup.homes import links_of

RSYNC = "rsync --server --sender -logtprSe.iLsfxCIvu --numeric-ids . "

REFUSED_TO_A_SERVER = [
    "id",
    "sh -i",
    "cat /etc/passwd",
    "internal-sftp; id",
    "scp -f /etc/passwd",
    "git-upload-pack '/tree'",
    "git-upload-pack '/etc'",
    "git-upload-pack '../project'",
    "git-receive-pack '/project'",
    "git-upload-pack '/project' --no-strict",
    RSYNC + "project/",
    RSYNC + "/etc/",
    RSYNC + "tree/../../",
    RSYNC + "tree/sub",
    "rsync --server -logtpre.iLsfxCIvu . tree/",
    "rsync --server --sender -LlogtprSe.iLsfxCIvu . tree/",
    "rsync --server --sender -slogtpre.iLsfxCIvu",
    "rsync --server --sender -logtpre.iLsfxCIvu --files-from=/etc/passwd . tree/",
    "rsync --server --daemon .",
    "\x1b[2Jid",
    "x" * 20_000,
]
REFUSED_TO_A_CLIENT = [
    "id",
    "internal-sftp",
    "git-upload-pack '/web2.git'",
    "git-receive-pack '/web2.git'",
    "git-receive-pack '/gitosis-admin.git'",
    "git-receive-pack 'gitosis-admin'",
    "git-receive-pack '//web1.git'",
    "git-receive-pack '/./web1.git'",
    "git-receive-pack '../web1.git'",
    "git-receive-pack '~/web1.git'",
    "git-receive-pack '/WEB1.git'",
    "git-receive-pack '/web1.git' 'x'",
    "git-receive-pack '/web1.git'; id",
    "git-receive-pack '/web1.git'\nid",
    "git -c core.sshCommand=id receive-pack '/web1.git'",
    "git-upload-archive '/web1.git'",
    RSYNC + "web1/",
]

# Asked of ssh itself; what a server says to it is ssh's own text.
NOT_OFFERED = [
    ["-W", "127.0.0.1:22"],
    ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22"],
    ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "/tmp/bk-no-such-socket:127.0.0.1:22"],
    ["-N", "-o", "ExitOnForwardFailure=yes", "-w", "0:0"],
    ["-tt"],
    ["-s"],
]

INSIDE = pytest.mark.skipif(confine.available() == 0, reason="this kernel has no Landlock")


@dataclass(frozen=True)
class Way:
    """How one end's key reaches the other end through one door, over one connection that stays open."""

    options: tuple[str, ...]
    destination: str

    def with_key(self, key: Path) -> "Way":
        """Another key, and a connection of its own."""
        kept = tuple(word for word in self.options if not word.startswith(("IdentityFile=", "Control")))
        words = [word for word, follows in zip(kept, (*kept[1:], "-o"), strict=True) if (word, follows) != ("-o", "-o")]
        return replace(self, options=(*words, "-o", f"IdentityFile={key}"))

    @property
    def command(self) -> str:
        return shlex.join(["ssh", *self.options])

    def ask(self, *words: str | bytes, before: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[bytes]":
        """before: options that count before our own, as ssh takes the first of a kind."""
        argv = ["ssh", *before, *self.options, self.destination, *words]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)

    def run(self, *argv: str, given: bytes = b"", **environ: str) -> "subprocess.CompletedProcess[bytes]":
        env = {**os.environ, "GIT_SSH_COMMAND": self.command, "GIT_CONFIG_GLOBAL": "/dev/null", **environ}
        return subprocess.run(argv, env=env, input=given, capture_output=True, timeout=60, check=False)


@dataclass(frozen=True)
class Ways:
    """Both lines through one door. port: of the client's door."""

    pair: Pair
    to_client: Way
    to_server: Way
    port: int


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    door = Door()
    yield make_pair(tmp_path_factory.mktemp("doors"), door)
    door.close()


@pytest.fixture(scope="module", params=["sshd", "serve"])
def ways(world: Pair, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    folder = tmp_path_factory.mktemp(request.param)
    sockets = Path(tempfile.mkdtemp(prefix="bk-"))
    started: list[Sshd | Embedded] = []
    for name, home in (("client", world.client.root), ("server", world.server.root)):
        started.append(Sshd.start(folder / name, home) if request.param == "sshd" else Embedded.start(home))
    client, server = started
    to_client = _way(client, world.server.ssh / KEY, sockets / "c")
    yield Ways(world, to_client, _way(server, world.client.ssh / KEY, sockets / "s"), client.port)
    for each in started:
        each.stop()
    shutil.rmtree(sockets, ignore_errors=True)


def _way(door: Sshd | Embedded, key: Path, socket: Path | None) -> Way:
    settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes"]
    settings += ["BatchMode=yes", f"IdentityFile={key}", f"Port={door.port}"]
    if socket is not None:
        settings += ["ControlMaster=auto", "ControlPersist=60", f"ControlPath={socket}"]
    return Way(("-F", "none", *(word for each in settings for word in ("-o", each))), f"{door.user}@127.0.0.1")


def fingerprint(*folders: Path) -> str:
    """A hash over every name, mode and byte below; the journal alone may grow."""
    known = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            about = path.lstat()
            if "log" in path.relative_to(folder).parts[:1]:
                continue
            known.update(os.fsencode(path) + b"\0%o %d\0" % (about.st_mode, about.st_mtime_ns))
            if stat.S_ISREG(about.st_mode):
                known.update(path.read_bytes())
    return known.hexdigest()


def whole(pair: Pair) -> str:
    return fingerprint(pair.client.root, pair.server.root, pair.client.root.parent / "sources")


def ask_all(way: Way, commands: list[str]) -> list[tuple[str, "subprocess.CompletedProcess[bytes]"]]:
    """Side by side: most of the time is spent on starting programs."""
    way.ask("id")
    with ThreadPoolExecutor(4) as pool:
        return list(zip(commands, pool.map(way.ask, commands), strict=True))


def refusals(home: Path) -> int:
    return sum(event["event"] == "gate.refused" for event in journal.read(home))


def test_a_server_is_refused_what_it_may_not_do_and_nothing_changes(ways: Ways) -> None:
    before, told = whole(ways.pair), refusals(ways.pair.client.root)
    for command, done in ask_all(ways.to_client, REFUSED_TO_A_SERVER):
        assert (done.returncode, done.stdout, done.stderr[:13]) == (126, b"", b"bk: refused: "), command
        assert done.stderr.decode().removesuffix("\n").isprintable()
    assert whole(ways.pair) == before
    assert refusals(ways.pair.client.root) == told + 1 + len(REFUSED_TO_A_SERVER)


def test_a_client_is_refused_what_it_may_not_do_and_nothing_changes(ways: Ways) -> None:
    before, told = whole(ways.pair), refusals(ways.pair.server.root)
    for command, done in ask_all(ways.to_server, REFUSED_TO_A_CLIENT):
        assert (done.returncode, done.stdout, done.stderr[:13]) == (126, b"", b"bk: refused: "), command
    assert whole(ways.pair) == before
    assert refusals(ways.pair.server.root) == told + 1 + len(REFUSED_TO_A_CLIENT)


def test_there_is_no_shell(ways: Ways) -> None:
    done = ways.to_client.ask()
    assert (done.returncode, done.stderr) == (126, b"bk: refused: there is no shell here\n")


def test_no_terminal_no_forwarding_no_tunnel_no_other_subsystem(ways: Ways) -> None:
    for asked in NOT_OFFERED:
        done = ways.to_client.ask(*(["foo"] if asked == ["-s"] else []), before=("-o", "ControlPath=none", *asked))
        assert (done.returncode, done.stdout) == (255, b""), asked


def test_nothing_is_forwarded_into_the_command(ways: Ways) -> None:
    sent = ("-o", "ControlPath=none", "-A", "-X", "-o", "SetEnv=GIT_DIR=/x BK_HOME=/x LC_ALL=x")
    done = ways.to_client.ask("env", before=sent)
    assert (done.returncode, done.stderr) == (126, b"bk: refused: this key may not run: env\n")


def test_a_key_that_nobody_knows_comes_in_nowhere(ways: Ways, tmp_path: Path) -> None:
    make_key(tmp_path / "id", "stranger")
    for key in (tmp_path / "id", ways.pair.client.ssh / KEY):
        done = ways.to_client.with_key(key).ask("id")
        assert (done.returncode, b"Permission denied" in done.stderr) == (255, True)


def test_a_key_is_not_let_in_from_elsewhere(ways: Ways) -> None:
    links = links_of(ways.pair.client)
    keys = ways.pair.client.ssh / "authorized_keys"
    kept = keys.read_bytes()
    try:
        for hosts, status in ((["192.0.2.10"], 255), (["*,!127.0.0.1"], 255), (["10.0.0.0/8", "127.0.0.0/8"], 126)):
            moved = {name: msgspec.structs.replace(link, from_=hosts) for name, link in links.items()}
            write_client_keys(ways.pair.client, moved)
            assert ways.to_client.ask("id", before=("-o", "ControlPath=none")).returncode == status, hosts
    finally:
        keys.write_bytes(kept)


def test_a_command_that_cannot_be_passed_on_does_not_come_through(ways: Ways) -> None:
    for command in (b"\xff\xfe", b"x" * 120_000):
        assert ways.to_client.ask(command).returncode != 0


def test_rsync_brings_a_tree_with_awkward_names(ways: Ways, tmp_path: Path) -> None:
    source = ways.to_client.destination + ":tree/"
    done = ways.to_client.run(
        "rsync", "-rlptgo", "--numeric-ids", "-S", "-e", ways.to_client.command, source, f"{tmp_path}/"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert _names(tmp_path) == _names(ways.pair.sources.tree)
    assert (tmp_path / "outside").readlink() == Path("/etc/passwd")


def _names(folder: Path) -> set[bytes]:
    return {os.fsencode(path.relative_to(folder)) for path in folder.rglob("*")}


@INSIDE
def test_rsync_cannot_be_talked_into_reading_beside_the_tree(ways: Ways, tmp_path: Path) -> None:
    """A filter can name a file that the sender reads its rules from: what is left out would tell what stands in it."""
    secret = ways.pair.sources.tree.parent / "secret"
    secret.write_text("sub\n")
    source = ways.to_client.destination + ":tree/"
    rule = f"--filter=dir-merge,- {secret}"
    done = ways.to_client.run("rsync", "-rlptgo", rule, "-e", ways.to_client.command, source, f"{tmp_path}/")
    secret.unlink()
    assert done.returncode == 0
    assert (tmp_path / "sub" / "deep.txt").exists()


def test_git_brings_a_repository_and_runs_nothing_of_it(ways: Ways, tmp_path: Path) -> None:
    repository, mark = ways.pair.sources.repository, tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    (repository / "hooks").mkdir(exist_ok=True)
    for name in ("post-checkout", "pre-auto-gc", "post-upload-pack", "reference-transaction"):
        shutil.copy(program, repository / "hooks" / name)
    kept = (repository / "config").read_bytes()
    for key in ("uploadpack.packObjectsHook", "core.fsmonitor", "core.sshCommand", "core.pager", "core.gitProxy"):
        git(repository, "config", key, str(program))
    try:
        url = f"ssh://{ways.to_client.destination}/project"
        done = ways.to_client.run("git", "clone", "-q", "--mirror", url, str(tmp_path / "copy"))
        assert (done.returncode, done.stderr) == (0, b"")
        assert git(tmp_path / "copy", "for-each-ref") == git(repository, "for-each-ref")
        assert not mark.exists()
    finally:
        (repository / "config").write_bytes(kept)
        shutil.rmtree(repository / "hooks")


@INSIDE
def test_git_does_not_follow_a_repository_out_of_itself(ways: Ways, tmp_path: Path) -> None:
    repository, elsewhere = ways.pair.sources.repository, tmp_path / "elsewhere.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(elsewhere))
    kept = (repository / "config").read_bytes()
    (repository / "config").write_bytes(kept + f"[include]\n\tpath = {elsewhere}/config\n".encode())
    try:
        done = ways.to_client.run("git", "ls-remote", f"ssh://{ways.to_client.destination}/project")
        assert (done.returncode, b"bk: unconfined" in done.stderr) == (128, False)
    finally:
        (repository / "config").write_bytes(kept)


@pytest.mark.needs_root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_git_brings_a_repository_that_belongs_to_somebody_else(ways: Ways, tmp_path: Path) -> None:
    repository = ways.pair.sources.repository
    subprocess.run(["chown", "-R", "65534:65534", str(repository)], check=True)
    try:
        done = ways.to_client.run("git", "ls-remote", f"ssh://{ways.to_client.destination}/project")
        assert (done.returncode, b"refs/tags/v1" in done.stdout) == (0, True)
    finally:
        subprocess.run(["chown", "-R", "0:0", str(repository)], check=True)


ID = "20261123T031949Z-00042-9f3c2a7b"


@pytest.fixture
def prepared(world: Pair) -> Iterator[bytes]:
    """A pack in the outbox for the server, and one for a server that this is not."""
    data = os.urandom(1 << 16) * 40
    for server in ("main", "other"):
        folder = world.client.outbox(server) / ID
        folder.mkdir(parents=True)
        (folder / "pack-0000").write_bytes(data if server == "main" else b"not yours")
    yield data
    shutil.rmtree(world.client.outbox("other"))
    shutil.rmtree(world.client.outbox("main") / ID)


def sftp(way: Way, *lines: str) -> "subprocess.CompletedProcess[bytes]":
    return way.run(
        "sftp", "-q", "-b", "-", *way.options, way.destination, given="".join(f"{line}\n" for line in lines).encode()
    )


def test_sftp_brings_a_pack_and_goes_on_where_it_was_cut(ways: Ways, prepared: bytes, tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(prepared[:100_001])
    done = sftp(ways.to_client, f"get -a {ID}/pack-0000 {tmp_path}/pack")
    assert done.returncode == 0
    assert (tmp_path / "pack").read_bytes() == prepared


ASKED_OF_SFTP = (
    "get /etc/passwd {to}",
    "get ../other/{id}/pack-0000 {to}",
    "get {home}/.ssh/id_ed25519 {to}",
    "get {home}/outbox/other/{id}/pack-0000 {to}",
    "get {id}/../../../bk.toml {to}",
    "put {key} {id}/new",
    "put {key} {id}/pack-0000",
    "rename {id}/pack-0000 {id}/x",
    "rm {id}/pack-0000",
    "mkdir {id}/x",
    "rmdir {id}",
    "chmod 777 {id}/pack-0000",
    "ln {id}/pack-0000 {id}/x",
    "symlink /etc/passwd {id}/x",
    "cd ..",
)


def test_sftp_reads_the_outbox_of_that_server_and_writes_nothing(ways: Ways, prepared: bytes, tmp_path: Path) -> None:
    before, told = whole(ways.pair), refusals(ways.pair.client.root)
    names = {
        "id": ID,
        "home": ways.pair.client.root,
        "to": tmp_path / "got",
        "key": ways.pair.server.ssh / f"{KEY}.pub",
    }
    lines = [f"-{line}".format(**names) for line in ASKED_OF_SFTP]
    done = sftp(ways.to_client, *lines)
    complaints = [line for line in done.stderr.splitlines() if not line.startswith(b"bk: refused: ")]
    assert len(complaints) >= len(lines)
    assert not (tmp_path / "got").exists()
    assert whole(ways.pair) == before
    assert refusals(ways.pair.client.root) == told + 1


def test_what_sftp_is_refused_fails_the_batch(ways: Ways, prepared: bytes, tmp_path: Path) -> None:
    assert sftp(ways.to_client, f"get /etc/passwd {tmp_path}/got").returncode == 1
    assert sftp(ways.to_client, f"rm {ID}/pack-0000").returncode == 1


@pytest.fixture
def work(world: Pair, tmp_path: Path) -> Iterator[Path]:
    """A clone-less repository with commits to push; the server's hooks note what they were given."""
    hooks = world.server.root / "scripts" / "hooks"
    kept = {path: path.read_bytes() for path in hooks.iterdir()}
    for path in kept:
        path.write_text(f"#!/bin/sh\nenv > {tmp_path}/{path.name}.env\n")
    yield world.sources.repository
    for path, data in kept.items():
        path.write_bytes(data)
    shutil.rmtree(world.server.repository("web1"))
    create_repository(world.server.repository("web1"), hooks)


def push(ways: Ways, work: Path, *refs: str) -> "subprocess.CompletedProcess[bytes]":
    url = f"ssh://{ways.to_server.destination}/web1.git"
    return ways.to_server.run("git", "-C", str(work), "push", "-q", url, *refs)


def test_a_push_is_taken_and_the_hooks_are_the_servers_own(ways: Ways, work: Path, tmp_path: Path) -> None:
    repository = ways.pair.server.repository("web1")
    (repository / "hooks").mkdir()
    (repository / "hooks" / "pre-receive").write_text("#!/bin/sh\nexit 1\n")
    (repository / "hooks" / "pre-receive").chmod(0o755)
    done = push(ways, work, "master:master")
    assert (done.returncode, done.stderr) == (0, b"")
    assert git(repository, "rev-parse", "master") == git(work, "rev-parse", "master")
    given = dict(line.split("=", 1) for line in (tmp_path / "post-update.env").read_text().splitlines())
    assert (given["BK_CLIENT"], given["BK_MEMBER"]) == ("web1", "backupclient@web1")
    assert given["BK_HOME"] == str(ways.pair.server.root)
    assert not {"SSH_ORIGINAL_COMMAND", "SSH_AUTH_SOCK", "DISPLAY", "PYTHONPATH"} & given.keys()


def test_no_ref_is_deleted_rewritten_or_written_below_refs_bk(ways: Ways, work: Path, tmp_path: Path) -> None:
    """The rules hold although the repository's own configuration says otherwise."""
    repository = ways.pair.server.repository("web1")
    for key in ("denyDeletes", "denyNonFastForwards", "fsckObjects"):
        git(repository, "config", f"receive.{key}", "false")
    git(repository, "config", "--unset-all", "receive.hideRefs")
    git(repository, "config", "core.hooksPath", str(tmp_path / "none"))
    assert push(ways, work, "master:master").returncode == 0
    assert (tmp_path / "pre-receive.env").exists()
    assert push(ways, work, "topic:refs/heads/other").returncode == 0
    before = git(repository, "for-each-ref")
    for refs in (":refs/heads/other", "+topic:master", "master:refs/bk/receipts", ":refs/bk/receipts"):
        assert push(ways, work, refs).returncode == 1, refs
    assert git(repository, "for-each-ref") == before


def test_what_the_server_says_can_be_read_back(ways: Ways, work: Path, tmp_path: Path) -> None:
    assert push(ways, work, "master:master").returncode == 0
    git(ways.pair.server.repository("web1"), "update-ref", "refs/bk/receipts", "master")
    done = ways.to_server.run("git", "ls-remote", f"ssh://{ways.to_server.destination}/web1.git")
    assert b"refs/bk/receipts" in done.stdout


def test_the_host_key_is_that_of_the_home(ways: Ways) -> None:
    scan = subprocess.run(
        ["ssh-keyscan", "-p", str(ways.port), "127.0.0.1"], capture_output=True, check=True, timeout=20
    )
    assert (ways.pair.client.ssh / f"{HOST_KEY}.pub").read_bytes().split()[1] in scan.stdout
