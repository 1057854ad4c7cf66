"""Push and fetch with the git program over one ssh line, bounded in time and size.

What a push says about itself is only ever shown. What counts is what the fetch after it brought.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bkcore import process
from bkcore.controlline.repository import environment, git, last_line
from bkcore.controlline.shape import MASTER
from bkcore.errors import Damaged, Stalled
from bkcore.flow import Stop
from bkcore.process import Done
from bkcore.ssh import Line, Remote, failure

# The server's branch and receipts as last fetched.
KNOWN_MASTER = "refs/server/heads/master"
KNOWN_RECEIPTS = "refs/server/bk/receipts"
# Patterns, because a ref that does not exist yet is no error then.
_WANTED = ("+refs/heads/*:refs/server/heads/*", "+refs/bk/*:refs/server/bk/*")

_LONGEST = 600.0
_LARGEST_PACK = 128 * 1024 * 1024

# Version 0 of the protocol needs no variable sent along. The server's history may begin anywhere (it cuts it), and one
# commit of it is enough here.
_QUIET = (
    "-c",
    "protocol.version=0",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "core.hooksPath=/dev/null",
)
_FETCH = (
    *("-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head"),
    *("--no-recurse-submodules", "--depth=1", "--refmap="),
)


@dataclass(frozen=True, slots=True)
class Transport:
    """One client repository and the open line to its counterpart. path: its name on the server, "web1.git"."""

    repository: Path
    remote: Remote
    line: Line
    path: str
    log: Callable[[bytes], None]
    stop: Stop

    def push(self, commit: str) -> str:
        """Offer a commit as the branch, forward only. What was said about it; whether it arrived the fetch tells."""
        try:
            done = self._git(*_QUIET, "push", "--quiet", "--no-verify", self._url, f"{commit}:{MASTER}")
        except Stalled as error:
            return error.text
        return _answer(done.err) if done.status != 0 else ""

    def fetch(self) -> None:
        """Bring the server's branch and receipts. What ssh.failure says when they could not be read."""
        done = self._git(*_QUIET, *_FETCH, self._url, *_WANTED)
        if done.status != 0:
            raise failure(self.remote, done.status, done.err)

    @property
    def _url(self) -> str:
        return f"ssh://{self.line.bracketed}/{self.path}"

    def _git(self, *words: str) -> Done:
        argv = git(self.repository, *words)
        ssh = {
            "GIT_SSH_COMMAND": shlex.join(self.line.command()),
            "GIT_SSH_VARIANT": "ssh",
            "GIT_ALLOW_PROTOCOL": "ssh",
        }
        done = process.run(argv, env=environment(ssh), total=_LONGEST, stopped=self.stop.is_set, watch=self._watch)
        if done.err:
            self.log(done.err)
        return done

    def _watch(self) -> None:
        """End a fetch that brings more than any honest server has to say."""
        try:
            size = sum(pack.stat().st_size for pack in (self.repository / "objects" / "pack").glob("tmp_pack_*"))
        except FileNotFoundError:
            return
        if size > _LARGEST_PACK:
            raise Damaged(f"{self.remote.name}: the control line brings more than {_LARGEST_PACK >> 20} MiB")


def _answer(said: bytes) -> str:
    """The line with which the server's hook refused, else the last one that git said."""
    for line in said.splitlines():
        remote = line.removeprefix(b"remote:")
        if remote != line and remote.strip():
            return last_line(remote)
    return last_line(said)
