"""Each method once through OpenSSH's own server, the generated keys and the gate."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.data_line import REQUEST, Stage
from fakes.sshd import Sshd
from fakes.world import Pair, git

from bkcore.errors import HostKeyChanged, NotAllowed, Unreachable
from bkcore.flow import Fetched, Never, Sink, Wanted
from bkcore.retrieval import METHODS, attempt_refs
from bkcore.ssh import Remote
from bkcore.state import Method
from bkcore.tick.lines import HeldLine


@pytest.fixture
def stage(pair: Pair, sshd: Callable[[Path], Sshd], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.delenv("BK_SSH")
    server = sshd(pair.client.root)
    host_key = (pair.client.ssh / "host_ed25519.pub").read_text()
    remote = Remote("web1", server.user, "127.0.0.1", server.port, (host_key,), pair.server.ssh / "id_ed25519")
    return Stage(tmp_path, remote)


def bring(stage: Stage, method: Method, what: str, into: Sink | Path, base: Path | None = None) -> Fetched:
    with stage.order(what, base) as order:
        return METHODS[method].fetch(order, into, print, Never())


def test_a_directory_arrives_and_is_linked_the_second_time(stage: Stage, pair: Pair) -> None:
    for name in ("v1", "v2"):
        (stage.root / name).mkdir()
    bring(stage, Method.RSYNC, "tree", stage.root / "v1")
    fetched = bring(stage, Method.RSYNC, "tree", stage.root / "v2", stage.root / "v1")
    source = {path.relative_to(pair.sources.tree) for path in pair.sources.tree.rglob("*")}
    assert {path.relative_to(stage.root / "v2") for path in (stage.root / "v2").rglob("*")} == source
    files = [path for path in (stage.root / "v2").rglob("*") if path.is_file()]
    assert {path.lstat().st_nlink for path in files} == {2}
    assert fetched.notes.unread == 0


def test_what_the_client_excludes_does_not_leave_it(stage: Stage, pair: Pair) -> None:
    config = pair.client.config
    path = f'path = "{pair.sources.tree}"\n'
    config.write_text(config.read_text().replace(path, f'{path}exclude = ["*.sh", "sub/empty/", "/a?newline"]\n'))
    (stage.root / "v1").mkdir()
    bring(stage, Method.RSYNC, "tree", stage.root / "v1")
    left = {path.relative_to(pair.sources.tree) for path in pair.sources.tree.rglob("*")}
    came = {path.relative_to(stage.root / "v1") for path in (stage.root / "v1").rglob("*")}
    assert {str(path) for path in left - came} == {"sub/run.sh", "sub/empty", "a\nnewline"}


def test_a_repository_arrives(stage: Stage, pair: Pair) -> None:
    bring(stage, Method.GIT, "project", stage.root / "kept.git")
    kept = git(stage.root / "kept.git", "rev-parse", f"{attempt_refs(REQUEST, 0)}refs/heads/master")
    assert kept == git(pair.sources.repository, "rev-parse", "refs/heads/master")


class Two:
    """A sink for two files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left = ["manifest", "pack-0000"]

    def wanted(self) -> Wanted | None:
        return Wanted(self.left[0], self.folder / self.left[0], 1 << 24) if self.left else None

    def done(self, name: str) -> None:
        assert self.left.pop(0) == name


def test_an_archive_arrives(stage: Stage, pair: Pair) -> None:
    outbox = pair.client.outbox("main") / REQUEST
    outbox.mkdir(parents=True)
    (stage.root / "incoming").mkdir()
    for name in ("manifest", "pack-0000"):
        (outbox / name).write_bytes(os.urandom(2_000_000))
    (stage.root / "incoming" / "pack-0000").write_bytes((outbox / "pack-0000").read_bytes()[:1_500_000])
    fetched = bring(stage, Method.SFTP, REQUEST, Two(stage.root / "incoming"))
    assert fetched.bytes == 2_500_000
    for name in ("manifest", "pack-0000"):
        sums = {hashlib.sha256((folder / name).read_bytes()).digest() for folder in (outbox, stage.root / "incoming")}
        assert len(sums) == 1


def test_a_socket_path_that_would_be_too_long_costs_only_the_sharing(stage: Stage, pair: Pair) -> None:
    (stage.root / "v1").mkdir()
    with tempfile.TemporaryDirectory(prefix="bk-" + "x" * 100) as scratch, stage.order("tree") as order:
        METHODS[Method.RSYNC].fetch(replace(order, scratch=Path(scratch)), stage.root / "v1", print, Never())
    assert (stage.root / "v1" / "sub" / "deep.txt").exists()


@pytest.mark.parametrize("name", ["short", "x" * 100])
def test_a_line_that_is_held_elsewhere_serves_one_transfer_after_the_other(stage: Stage, pair: Pair, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="bk-") as above, HeldLine(stage.remote, Path(above, name)) as held:
        for folder in ("v1", "v2"):
            (stage.root / folder).mkdir()
            with stage.order("tree") as order:
                METHODS[Method.RSYNC].fetch(replace(order, held=held.use), stage.root / folder, print, Never())
            with stage.order("project") as order:
                METHODS[Method.GIT].fetch(replace(order, held=held.use), stage.root / "kept.git", print, Never())
            assert (stage.root / folder / "sub" / "deep.txt").exists()
    assert git(stage.root / "kept.git", "rev-parse", f"{attempt_refs(REQUEST, 0)}refs/heads/master")


@pytest.mark.parametrize("folder", ["short", "x" * 100])
@pytest.mark.parametrize("method", list(Method))
def test_another_host_key_ends_it_before_anything_is_asked(
    stage: Stage, pair: Pair, method: Method, folder: str
) -> None:
    """Also where the socket's path would be too long, so that the method's own program starts ssh."""
    other = (pair.server.ssh / "id_ed25519.pub").read_text()
    stage.remote = replace(stage.remote, host_keys=(other,))
    into: Sink | Path = Two(stage.root) if method is Method.SFTP else stage.root / "nothing"
    with (
        tempfile.TemporaryDirectory(prefix=f"bk-{folder}") as scratch,
        stage.order("tree") as order,
        pytest.raises(HostKeyChanged),
    ):
        METHODS[method].fetch(replace(order, scratch=Path(scratch)), into, print, Never())
    assert list(stage.root.glob("nothing/*")) == []


@pytest.mark.parametrize("method", list(Method))
def test_a_host_that_does_not_answer_is_unreachable(stage: Stage, method: Method) -> None:
    stage.remote = replace(stage.remote, port=1)
    into: Sink | Path = Two(stage.root) if method is Method.SFTP else stage.root / "nothing"
    with pytest.raises(Unreachable, match="refused"):
        bring(stage, method, "tree", into)


def test_a_label_that_is_not_served_is_refused_by_the_gate(stage: Stage) -> None:
    (stage.root / "v1").mkdir()
    with pytest.raises(NotAllowed, match="no source elsewhere"):
        bring(stage, Method.RSYNC, "elsewhere", stage.root / "v1")
    with pytest.raises(NotAllowed, match="no source elsewhere"):
        bring(stage, Method.GIT, "elsewhere", stage.root / "kept.git")


def test_our_key_is_out_of_reach_of_what_the_other_side_talks_to(stage: Stage) -> None:
    from bkcore import ssh
    from bkcore.retrieval.base import reach

    with stage.order("tree") as order, ssh.line(order.remote, order.scratch, shared=True) as line:
        seen = reach(order, line, stage.root / "v1")
    assert all(not stage.remote.key.is_relative_to(folder) for folder in seen.read)
