"""Exact shapes: what git, sftp and rsync really send is taken, everything beside it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.errors import GateRefused
from bkcore.gate.access import Access, Right, Rule
from bkcore.gate.decide import (
    GiveOutbox,
    GiveRepository,
    GiveSource,
    GiveTree,
    GiveVersion,
    ListVersions,
    Served,
    TakePush,
    decide_control,
    decide_data,
)
from bkcore.state import Method

ME = "backupclient@web1"
ACCESS = Access(
    {},
    (
        Rule(frozenset({ME}), Right.WRITE, "web1", "web1"),
        Rule(frozenset({"bob"}), Right.READ, "web1", "web1"),
        Rule(frozenset({"alice"}), Right.WRITE, "gitosis-admin", "gitosis-admin"),
    ),
    {},
)
SERVED = {
    "home": Served(Method.RSYNC, b"/srv/two words\xff"),
    "root": Served(Method.RSYNC, b"/"),
    "project": Served(Method.GIT, b"/srv/git/project.git"),
}
RSYNC = "rsync --server --sender -logtprSe.iLsfxCIvu --numeric-ids . "


@pytest.mark.parametrize("path", ["'/web1.git'", "'web1.git'", "'/web1'", "'web1'"])
def test_a_client_may_push_to_and_read_its_own_repository(path: str) -> None:
    assert decide_control(f"git-receive-pack {path}", ME, ACCESS) == TakePush("web1")
    assert decide_control(f"git-upload-pack {path}", ME, ACCESS) == GiveRepository("web1")


def test_an_administrator_may_use_the_admin_repository_also_with_the_leading_slash() -> None:
    assert decide_control("git-receive-pack '/gitosis-admin.git'", "alice", ACCESS) == TakePush("gitosis-admin")


ID = "20261123T031949Z-00042-9f3c2a7b"


def test_who_may_push_to_a_clients_repository_may_ask_for_its_versions() -> None:
    assert decide_control("bk-versions web1", ME, ACCESS) == ListVersions("web1")
    assert decide_control(f"bk-version web1 {ID} 0", ME, ACCESS) == GiveVersion("web1", ID, 0)
    assert decide_control(f"bk-version web1 {ID} 1024", ME, ACCESS) == GiveVersion("web1", ID, 1024)
    assert decide_control(f"bk-version web1 {ID} list", ME, ACCESS) == GiveVersion("web1", ID, None)


@pytest.mark.parametrize(
    ("member", "command"),
    [
        (ME, "bk-versions web2"),
        (ME, "bk-versions"),
        (ME, "bk-versions web1 "),
        (ME, "bk-versions 'web1'"),
        (ME, "bk-versions ../web1"),
        (ME, "bk-versions web1;id"),
        (ME, f"bk-version web2 {ID} 0"),
        (ME, "bk-version web1 latest 0"),
        (ME, f"bk-version web1 {ID}"),
        (ME, f"bk-version web1 {ID} -1"),
        (ME, f"bk-version web1 ../{ID} 0"),
        (ME, f"bk-version web1 {ID} 0 0"),
        (ME, f"bk-version web1 {ID} {10**17}"),
        (ME, f"bk-versions web1 {ID} 0"),
        ("bob", "bk-versions web1"),
        ("bob", f"bk-version web1 {ID} 0"),
        ("alice", "bk-versions gitosis-admin"),
        ("alice", "bk-versions web1"),
    ],
)
def test_no_other_words_and_nobody_else_reach_versions(member: str, command: str) -> None:
    with pytest.raises(GateRefused):
        decide_control(command, member, ACCESS)


def test_who_may_read_may_not_push() -> None:
    assert decide_control("git-upload-pack 'web1.git'", "bob", ACCESS) == GiveRepository("web1")
    with pytest.raises(GateRefused, match="may not push to web1"):
        decide_control("git-receive-pack 'web1.git'", "bob", ACCESS)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "id",
        "sh -c id",
        "scp -t .",
        "internal-sftp",
        "git-upload-archive 'web1.git'",
        "git upload-pack 'web1.git'",
        "git-shell",
        "git-receive-pack web1.git",
        "git-receive-pack 'web2.git'",
        "git-receive-pack 'gitosis-admin.git'",
        "git-receive-pack '//web1.git'",
        "git-receive-pack './web1.git'",
        "git-receive-pack '../web1.git'",
        "git-receive-pack 'web1.git/../web2.git'",
        "git-receive-pack '~/web1.git'",
        "git-receive-pack '/data/backup/repositories/web1.git'",
        "git-receive-pack 'WEB1.git'",
        "git-receive-pack 'web1.git' 'web1.git'",
        "git-receive-pack --advertise-refs 'web1.git'",
        "git-receive-pack 'web1.git';id",
        "git-receive-pack 'web1.git'\n",
        "git-receive-pack 'web1.git'\nid",
        "git-receive-pack 'web1.git'`id`",
        "git-receive-pack 'web1$(id).git'",
        "git-receive-pack 'we'\\!'b1.git'",
        "git-receive-pack  'web1.git'",
        " git-receive-pack 'web1.git'",
        "/usr/bin/git-receive-pack 'web1.git'",
        "git-receive-pack '" + "a" * 100_000 + "'",
        "git-receive-pack '\udcff'",
        "GIT_DIR=/ git-receive-pack 'web1.git'",
        RSYNC + "web1/",
    ],
)
def test_everything_else_is_refused_to_a_client(command: str) -> None:
    with pytest.raises(GateRefused):
        decide_control(command, ME, ACCESS)


@given(st.text())
def test_no_text_gives_a_stranger_anything(command: str) -> None:
    with pytest.raises(GateRefused):
        decide_control(command, "mallory", ACCESS)


@pytest.mark.parametrize(
    "command",
    [
        "internal-sftp",
        "internal-sftp -f AUTHPRIV -l INFO",
        "/usr/lib/openssh/sftp-server",
        "/usr/lib/ssh/sftp-server",
        "/usr/libexec/openssh/sftp-server -e",
        "/usr/libexec/sftp-server",
    ],
)
def test_whatever_sshd_calls_its_sftp_subsystem_is_the_outbox(command: str) -> None:
    assert decide_data(command, {}, "main") == GiveOutbox("main")


def test_rsync_fetches_a_label_and_never_a_path() -> None:
    assert decide_data(RSYNC + "home/", SERVED, "main") == GiveTree(
        ("-logtprSe.iLsfxCIvu", "--numeric-ids"), b"/srv/two words\xff/"
    )
    assert decide_data(RSYNC + "home", SERVED, "main") == GiveTree(
        ("-logtprSe.iLsfxCIvu", "--numeric-ids"), b"/srv/two words\xff"
    )


def test_the_root_itself_can_be_a_source() -> None:
    assert decide_data(RSYNC + "root/", SERVED, "main") == GiveTree(("-logtprSe.iLsfxCIvu", "--numeric-ids"), b"/")


def test_timeouts_and_limits_of_bandwidth_are_taken() -> None:
    command = "rsync --server --sender -vlogtpre.LsfxCIvu --timeout=300 --bwlimit=1024 --numeric-ids . home/"
    options = ("-vlogtpre.LsfxCIvu", "--timeout=300", "--bwlimit=1024", "--numeric-ids")
    assert decide_data(command, SERVED, "main") == GiveTree(options, b"/srv/two words\xff/")


def test_git_fetches_a_label() -> None:
    assert decide_data("git-upload-pack '/project'", SERVED, "main") == GiveSource(b"/srv/git/project.git")


def test_what_the_client_excludes_is_left_out_whatever_the_server_asks() -> None:
    served = {"home": Served(Method.RSYNC, b"/srv/home", ("*/.cache", "two words"))}
    options = ("-logtprSe.iLsfxCIvu", "--numeric-ids", "--exclude=*/.cache", "--exclude=two words")
    assert decide_data(RSYNC + "home/", served, "main") == GiveTree(options, b"/srv/home/")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "id",
        "sftp",
        "internal-sftp; id",
        "internal-sftp -f /etc/passwd",
        "/tmp/sftp-server",
        "scp -f /etc/passwd",
        "rsync --server --daemon .",
        "rsync --daemon",
        "rsync --server -logtprSe.iLsfxCIvu . home/",
        "rsync --server --sender -logtprSe.iLsfxCIvu . project/",
        "rsync --server --sender -logtprSe.iLsfxCIvu . /etc/",
        "rsync --server --sender -logtprSe.iLsfxCIvu . home/../../etc/",
        "rsync --server --sender -logtprSe.iLsfxCIvu . home/sub",
        "rsync --server --sender -logtprSe.iLsfxCIvu . home/ /etc/",
        "rsync --server --sender -logtprSe.iLsfxCIvu / home/",
        "rsync --server --sender -LlogtprSe.iLsfxCIvu . home/",
        "rsync --server --sender -klogtprSe.iLsfxCIvu . home/",
        "rsync --server --sender -RlogtprSe.iLsfxCIvu . home/",
        "rsync --server --sender -logDtpre.iLsfxCIvu . home/",
        "rsync --server --sender -slogtpre.iLsfxCIvu",
        "rsync --server --sender -XlogtprSe.iLsfxCIvu . home/",
        "rsync --server --sender -AlogtprSe.iLsfxCIvu . home/",
        "rsync --server --sender -logtprSe.iLsfxCIvu --copy-unsafe-links . home/",
        "rsync --server --sender -logtprSe.iLsfxCIvu --files-from=/etc/passwd . home/",
        "rsync --server --sender -logtprSe.iLsfxCIvu --log-file=/tmp/x . home/",
        "rsync --server --sender -logtprSe.iLsfxCIvu --remove-source-files . home/",
        "rsync --server --sender -logtprSe.iLsfxCIvu --rsync-path=id . home/",
        "rsync --server --sender -logtprSe.iLsfxCIvu --temp-dir=/tmp . home/",
        "rsync --server --sender -logtprSe.iLsfxCIvu -e sh . home/",
        "rsync --server --sender -logtprSe.iLsfxCIvu . home/\nid",
        "rsync --server --sender -logtprSe.iLsfxCIvu . -home/",
        "git-upload-pack '/home'",
        "git-upload-pack '/srv/git/project.git'",
        "git-upload-pack '/other'",
        "git-receive-pack '/project'",
    ],
)
def test_everything_else_is_refused_to_a_server(command: str) -> None:
    with pytest.raises(GateRefused):
        decide_data(command, SERVED, "main")


@given(st.text(alphabet=st.characters(codec="utf-8")), st.text(max_size=20))
def test_whatever_rsync_is_made_to_send_only_configured_paths_come_out(options: str, label: str) -> None:
    try:
        verb = decide_data(f"rsync --server --sender {options} . {label}", SERVED, "main")
    except GateRefused:
        return
    assert isinstance(verb, GiveTree)
    assert verb.path.rstrip(b"/") in {b"/srv/two words\xff", b""}


def test_a_refusal_shows_no_control_characters() -> None:
    with pytest.raises(GateRefused) as caught:
        decide_data("\x1b[31m\u202eid\n" + "x" * 1000, SERVED, "main")
    assert caught.value.text.isprintable()
    assert len(caught.value.text) < 300
