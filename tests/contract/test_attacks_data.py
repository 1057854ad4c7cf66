"""What a server's key may try on the data line, with the programs that are made for it: it reads what is its own."""

import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
from fakes.counted import Attacks
from fakes.ways import Ways, whole

from bkcore.gate.keys import KEY
from bkcore.request import new_id

pytestmark = pytest.mark.timeout(300)
ID = new_id(datetime(2026, 11, 23, 3, 19, 49, tzinfo=UTC), 7)


@pytest.fixture
def outbox(ways: Ways) -> Iterator[Path]:
    """A prepared request, beside it one for another server, and links that somebody planted."""
    mine, other = ways.pair.client.outbox("main") / ID, ways.pair.client.outbox("other") / ID
    for folder in (mine, other):
        folder.mkdir(parents=True)
        (folder / "manifest").write_text("manifest\n")
    (mine / "link").symlink_to("/etc/passwd")
    (mine / "folder").symlink_to("/etc")
    (ways.pair.client.outbox("main") / ID.replace("00007", "00008")).symlink_to("/etc")
    yield mine
    (ways.pair.client.outbox("main") / ID.replace("00007", "00008")).unlink()
    shutil.rmtree(mine)
    shutil.rmtree(other.parent)


def read_elsewhere(ways: Ways, here: Path) -> list[str]:
    """sftp commands that read what lies outside of the outbox."""
    home = ways.pair.client.root
    linked = ID.replace("00007", "00008")
    names = ["/etc/passwd", "//etc/passwd", "../../bk.toml", f"{ID}/../../../bk.toml", f"{home}/bk.toml", "~/.ssh/id"]
    names += [
        f"{ID}/link",
        f"{ID}/folder/passwd",
        f"{linked}/passwd",
        f"../other/{ID}/manifest",
        "../../.ssh/id_ed25519",
    ]
    names += [f"{home}/outbox/other/{ID}/manifest", f"{ID}/./manifest/../link", f"{ID}/manifest/../../{ID}/link"]
    return [f'get "{name}" "{here}"' for name in names] + [f"ls {name}" for name in ("/etc", "..")]


def change(here: Path) -> list[str]:
    """sftp commands that change something."""
    return [
        *(f'put "{here}" {name}' for name in (f"{ID}/new", f"{ID}/manifest", "new", "/tmp/bk-new", f"{ID}/link")),
        *(f"{verb} {ID}/manifest {ID}/other" for verb in ("rename", "ln", "cp")),
        *(f"ln -s /etc/passwd {name}" for name in (f"{ID}/soft", "soft")),
        *(f"mkdir {name}" for name in ("new", f"{ID}/new", f"{ID.replace('00007', '00009')}")),
        *(f"rmdir {name}" for name in (ID, ".")),
        *(f"rm {name}" for name in (f"{ID}/manifest", f"{ID}/link")),
        *(f"{verb} {ID}/manifest" for verb in ("chmod 777", "chown 0", "chgrp 0", "chmod -h 777")),
    ]


def test_sftp_reads_nothing_outside_of_the_outbox_and_changes_nothing(
    ways: Ways, attacks: Attacks, outbox: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine\n")
    commands = read_elsewhere(ways, tmp_path / "got") + change(mine)
    attacks.tried(len(commands))
    before = whole(ways.pair)

    def ask(command: str) -> int:
        argv = ("sftp", "-q", *ways.to_client.options, "-b", "-", ways.to_client.destination)
        return ways.to_client.run(*argv, given=f"{command}\n".encode()).returncode

    assert ask(f'get {ID}/manifest "{tmp_path / "honest"}"') == 0
    with ThreadPoolExecutor(3) as pool:
        status = dict(zip(commands, pool.map(ask, commands), strict=True))
    assert [command for command, each in status.items() if each == 0] == []
    assert not (tmp_path / "got").exists()
    assert whole(ways.pair) == before
    attacks.refused(ways.door, "OpenSSH's sftp")


@pytest.mark.anyio
async def test_sftp_packets_that_no_program_sends_change_nothing(ways: Ways, attacks: Attacks, outbox: Path) -> None:
    before = whole(ways.pair)
    user, _, host = ways.to_client.destination.partition("@")
    key = str(ways.pair.server.ssh / KEY)
    async with (
        asyncssh.connect(host, ways.port, username=user, client_keys=[key], known_hosts=None, config=None) as line,
        line.start_sftp_client() as sftp,
    ):
        name, new = f"{ID}/manifest", f"{ID}/new"
        assert (await sftp.stat(name)).size == len("manifest\n")
        packets: dict[str, Callable[[], Awaitable[object]]] = {
            "write": lambda: sftp.open(new, "wb"),
            "append": lambda: sftp.open(name, "ab"),
            "read and write": lambda: sftp.open(name, "r+b"),
            "exclusive": lambda: sftp.open(new, "xb"),
            "remove": lambda: sftp.remove(name),
            "rename": lambda: sftp.rename(name, new),
            "posix-rename": lambda: sftp.posix_rename(name, new),
            "hardlink": lambda: sftp.link(name, new),
            "symlink": lambda: sftp.symlink("/etc/passwd", new),
            "setstat": lambda: sftp.setstat(name, asyncssh.SFTPAttrs(permissions=0o777)),
            "lsetstat": lambda: sftp.setstat(name, asyncssh.SFTPAttrs(permissions=0o777), follow_symlinks=False),
            "truncate": lambda: sftp.truncate(name, 0),
            "utime": lambda: sftp.utime(name, (0, 0)),
            "statvfs": lambda: sftp.statvfs(name),
            "mkdir": lambda: sftp.mkdir(new),
            "readlink": lambda: sftp.readlink(f"{ID}/link"),
            "no utf-8": lambda: sftp.open(b"\xff\xfe/\xff", "rb"),
            "NUL": lambda: sftp.open(f"{ID}/manifest\0.png".encode(), "rb"),
            "a name of 100 KB": lambda: sftp.open("x" * 100_000, "rb"),
        }
        attacks.tried(len(packets))
        for what, send in packets.items():
            with pytest.raises((asyncssh.SFTPError, asyncssh.Error)):
                print(what, await send())
    assert whole(ways.pair) == before
    attacks.refused(ways.door, "sftp packets")


# Options that the far rsync is told.
FAR = (
    "config=/etc/passwd",
    "password-file=/etc/passwd",
    "exclude-from=/etc/passwd",
    "include-from=/etc/passwd",
    "filter=merge /etc/passwd",
    "log-file={mark}",
    "temp-dir={folder}",
    "write-batch={mark}",
    "rsh=touch {mark}",
    "daemon",
)


def rsync_reads(there: str, folder: Path) -> list[list[str]]:
    """Words of rsync that read what they may not, or in a way they may not."""
    mark = folder / "mark"
    paths = ("/etc/", "project/", "tree/../", "tree/sub/../../", "~/", "", "/")
    options = ["-L", "--copy-unsafe-links", "-k", "--remove-source-files", "--files-from=:/etc/hosts"]
    options += [f"--rsync-path=touch {mark}; rsync", "--rsync-path=rsync --daemon"]
    options += [f"-M--{option.format(mark=mark, folder=folder)}" for option in FAR]
    return [
        *(["-a", f"{there}:{path}"] for path in paths),
        ["-a", f"{there}::tree/"],
        ["-a", f"rsync://{there}/tree/"],
        *(["-a", option, f"{there}:tree/"] for option in options),
    ]


def rsync_writes(there: str, folder: Path) -> list[list[str]]:
    """Words of rsync that write there."""
    options: list[list[str]] = [[], ["--delete"], ["--inplace"], ["--append"], [f"--backup-dir={folder}", "-b"]]
    mine = f"{folder}/mine/"
    return [*(["-a", *each, mine, f"{there}:tree/"] for each in options), ["-a", "--delete", mine, f"{there}:/"]]


def test_rsync_writes_nothing_and_reads_no_other_way_than_it_is_meant_to(
    ways: Ways, attacks: Attacks, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "new").write_text("new\n")
    got = tmp_path / "got"
    got.mkdir()
    there = ways.to_client.destination
    tries = [[*words, str(got)] for words in rsync_reads(there, tmp_path)] + rsync_writes(there, tmp_path)
    attacks.tried(len(tries))
    before = whole(ways.pair)

    def ask(words: list[str]) -> int:
        return ways.to_client.run("rsync", "-e", ways.to_client.command, *words).returncode

    with ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(ask, tries))
    assert [words for words, status in zip(tries, ended, strict=True) if status == 0] == []
    assert os.listdir(got) == []
    assert not (tmp_path / "mark").exists()
    assert whole(ways.pair) == before
    attacks.refused(ways.door, "rsync")


def test_what_a_repositorys_own_settings_name_is_never_run(ways: Ways, attacks: Attacks, tmp_path: Path) -> None:
    source, mark = ways.pair.sources.repository, tmp_path / "mark"
    kept = (source / "config").read_text()
    settings = {
        "uploadpack.packObjectsHook": f"touch {mark}; exec",
        "core.fsmonitor": f"touch {mark}",
        "core.sshCommand": f"touch {mark}",
        "core.alternateRefsCommand": f"touch {mark}",
        "core.hooksPath": str(tmp_path / "hooks"),
        "core.pager": f"touch {mark}",
        "core.editor": f"touch {mark}",
        "credential.helper": f"!touch {mark}",
        "gpg.program": f"touch {mark}",
        "alias.upload-pack": f"!touch {mark}",
        "include.path": "/etc/passwd",
        "uploadpack.allowAnySHA1InWant": "true",
    }
    (tmp_path / "hooks").mkdir()
    for hook in ("post-upload-pack", "pre-upload-pack", "reference-transaction", "post-checkout"):
        (source / "hooks").mkdir(exist_ok=True)
        for folder in (tmp_path / "hooks", source / "hooks"):
            (folder / hook).write_text(f"#!/bin/sh\ntouch {mark}\n")
            (folder / hook).chmod(0o755)
    attacks.tried(len(settings) + 4)
    try:
        for number, (name, value) in enumerate(settings.items()):
            section, _, key = name.partition(".")
            (source / "config").write_text(f'{kept}\n[{section}]\n\t{key} = "{value}"\n')
            before = whole(ways.pair)
            url = f"ssh://{ways.to_client.destination}/project"
            ways.to_client.run("git", "clone", "-q", "--bare", url, str(tmp_path / f"clone-{number}"))
            assert not mark.exists(), name
            assert whole(ways.pair) == before
    finally:
        (source / "config").write_text(kept)
        shutil.rmtree(source / "hooks")
    assert (tmp_path / "clone-0" / "HEAD").exists()
    attacks.refused(ways.door, "settings and hooks of a repository")
