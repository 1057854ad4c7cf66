"""authorized_keys: parsed as sshd does, our block first and replaced whole, other lines untouched."""

import base64
import shlex
from pathlib import Path

import pytest

from bkcore.errors import BkError, ConfigError, Malformed, UsageError
from bkcore.gate.keys import (
    PublicKey,
    forced_line,
    make_pair,
    parse_key,
    parse_key_file,
    parse_lines,
    regenerate,
)
from bkcore.gate.regenerate import keydir
from bkcore.paths import ServerHome


def blob(kind: str = "ssh-ed25519", filling: bytes = b"k") -> str:
    raw = len(kind).to_bytes(4, "big") + kind.encode() + (32).to_bytes(4, "big") + filling * 32
    return base64.b64encode(raw).decode()


KEY = PublicKey("ssh-ed25519", blob(), "me@here")
OTHER = PublicKey("ssh-ed25519", blob(filling=b"o"))


def test_a_line_that_was_written_is_read_back() -> None:
    line = forced_line(
        ["/opt/py thon/bin/python", "-I", "--home", "/a \"b\" 'c' $(d)"], KEY, ["192.0.2.10", "10.0.0.0/8"]
    )
    (found,) = parse_lines(line)
    assert found.key == KEY
    assert found.options.keys() == {"restrict", "from", "command"}
    assert found.options["from"] == "192.0.2.10,10.0.0.0/8"
    assert shlex.split(found.options["command"])[3] == "/a \"b\" 'c' $(d)"


@pytest.mark.parametrize("path", ["/a\nb", "/a\\b", "/a\x1bb", "/a\x00b"])
def test_words_that_could_break_the_line_are_refused(path: str) -> None:
    with pytest.raises(UsageError):
        forced_line(["gate", path], KEY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no public key"),
        ("ssh-ed25519", "no public key"),
        (f'command="x" ssh-ed25519 {blob()}', "no public key"),
        (f"ssh-dss {blob('ssh-dss')}", "no public key"),
        (f"ssh-ed25519 {blob()[:-8]}", "not whole"),
        (f"ssh-rsa {blob()}", "not whole"),
        (f"ssh-ed25519 {blob()} ssh-ed25519 {blob()}", "two keys"),
        (f"ssh-ed25519 {blob()} a\x1b[31m", "cannot be shown"),
    ],
)
def test_what_is_no_single_plain_key_is_refused(text: str, told: str) -> None:
    with pytest.raises(Malformed, match=told):
        parse_key(text)


def test_a_key_file_may_hold_several_keys_and_names_the_lines_of_its_faults() -> None:
    text = f"# mine\n{KEY.line} me@here\n\n{OTHER.line}\n"
    assert parse_key_file(text) == [(2, KEY), (4, OTHER)]
    with pytest.raises(Malformed, match=r"^5: this is no public key"):
        parse_key_file(text + f'from="x" {KEY.line}\n')


def test_lines_that_sshd_would_pass_over_are_passed_over() -> None:
    passed_over = f'# {KEY.line}\nnonsense\ncommand="unclosed {KEY.line}\n'
    first, second = parse_lines(f'{passed_over}{KEY.line} free\nno-pty,COMMAND="a,b \\"c\\"" {OTHER.line}\n')
    assert (first.options, first.key) == ({}, KEY)
    assert second.options == {"no-pty": "", "command": 'a,b "c"'}


def test_the_managed_block_stands_first_and_lines_added_by_hand_stay(tmp_path: Path) -> None:
    path = tmp_path / ".ssh" / "authorized_keys"
    assert regenerate(path, ["ours 1"])
    path.write_text(path.read_text() + "by hand \u00e9\n")
    assert regenerate(path, ["ours 2"])
    lines = path.read_text().splitlines()
    assert lines[1:] == ["ours 2", "# bk: end", "by hand \u00e9"]
    assert not regenerate(path, ["ours 2"])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_without_our_block_gets_it_on_top(tmp_path: Path) -> None:
    path = tmp_path / "authorized_keys"
    path.write_bytes(b"by hand \xff\n")
    regenerate(path, ["ours"])
    assert path.read_bytes().splitlines()[1:] == [b"ours", b"# bk: end", b"by hand \xff"]


def test_a_block_that_lost_its_end_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "authorized_keys"
    regenerate(path, ["ours"])
    broken = path.read_text().replace("# bk: end\n", "by hand\n")
    path.write_text(broken)
    with pytest.raises(BkError, match="is gone"):
        regenerate(path, [])
    assert path.read_text() == broken


def test_a_pair_is_made_once(tmp_path: Path) -> None:
    first = make_pair(tmp_path / "keys" / "id_ed25519", "me@here")
    assert (first.comment, make_pair(tmp_path / "keys" / "id_ed25519", "other")) == ("me@here", first)
    assert (tmp_path / "keys" / "id_ed25519").stat().st_mode & 0o777 == 0o600


def test_a_lost_public_half_is_made_again(tmp_path: Path) -> None:
    first = make_pair(tmp_path / "id_ed25519", "me")
    (tmp_path / "id_ed25519.pub").unlink()
    assert make_pair(tmp_path / "id_ed25519", "me") == first


def test_one_key_for_two_members_is_a_fault_and_so_is_a_broken_file(tmp_path: Path) -> None:
    home = ServerHome(tmp_path)
    (home.access / "keydir").mkdir(parents=True)
    (home.access / "keydir" / "a@x.pub").write_text(f"{KEY.line}\n")
    (home.access / "keydir" / "b@x.pub").write_text(f"\n{KEY.line} other comment\nnonsense key\n")
    (home.access / "keydir" / "README").write_text("not a key")
    with pytest.raises(ConfigError) as caught:
        keydir(home)
    assert str(caught.value) == (
        "keydir/b@x.pub:3: this is no public key: it must start with its type, such as ssh-ed25519, and have no options"
    )
    (home.access / "keydir" / "b@x.pub").write_text(f"\n{KEY.line} other comment\n")
    with pytest.raises(ConfigError, match=r"keydir/b@x.pub:2: this key stands in keydir/a@x.pub already"):
        keydir(home)
