import os
import stat
from pathlib import Path

import pytest

from bkcore.errors import NoSpace, NotNow, ProgramMissing, SourceFailed, Stopped
from bkcore.flow import Kind, Stream
from bkcore.modules import MODULES, Source, Workspace
from bkcore.modules.command import CommandOptions
from bkcore.modules.dump import dump, password_in, private_file, require_room
from bkcore.modules.mysql import MysqlOptions
from bkcore.modules.postgres import PostgresOptions


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def command(run: str, **options: object) -> Source:
    (source,) = MODULES["command"].sources("router", CommandOptions(run=run, **options))  # type: ignore[arg-type]
    return source


def bytes_of(stream: Stream | None) -> dict[bytes, bytes]:
    assert stream is not None
    found = {member.path: b"".join(member.chunks()) for member in stream if member.kind is Kind.FILE}
    stream.close()
    return found


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs are found before all others."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_what_a_command_writes_is_the_archive(tmp_path: Path, work: Workspace) -> None:
    run = program(tmp_path / "p", "say", 'printf "%s|" "$@"; echo "# end"')
    source = command(f"{run} 'a b' $HOME ';' c", file="router.rsc", ends="# end")
    assert source.path == b"/command/router"
    assert bytes_of(MODULES["command"].prepare(source, work)) == {b"router.rsc": b"a b|$HOME|;|c|# end\n"}


@pytest.mark.parametrize(
    ("script", "error", "told"),
    [
        ("echo half; exit 3", SourceFailed, "ended with 3"),
        ("echo half; echo 'disk on fire' >&2; exit 1", SourceFailed, "disk on fire"),
        ("printf 'x: no server\\n\\tIs it running?\\n' >&2; exit 2", SourceFailed, "ended with 2: x: no server$"),
        ("echo half; kill -9 $$", SourceFailed, "signal 9"),
        ("echo half", SourceFailed, "# end is missing"),
        ("exit 75", NotNow, "called again later"),
        ("true", SourceFailed, "is missing"),
    ],
)
def test_a_command_that_did_not_end_well_is_never_a_version(
    tmp_path: Path, work: Workspace, script: str, error: type[Exception], told: str
) -> None:
    source = command(str(program(tmp_path / "p", "say", script)), ends="# end")
    with pytest.raises(error, match=told):
        MODULES["command"].prepare(source, work)


def test_an_empty_output_is_a_failure_though_the_command_ended_well(tmp_path: Path, work: Workspace) -> None:
    with pytest.raises(SourceFailed, match="wrote nothing"):
        MODULES["command"].prepare(command(str(program(tmp_path / "p", "say", "true"))), work)


def test_a_dump_that_nobody_wants_any_more_ends_with_its_program(tmp_path: Path) -> None:
    class Asked:
        def is_set(self) -> bool:
            return (tmp_path / "begun").exists()

    folder = tmp_path / "work"
    folder.mkdir()
    run = program(tmp_path / "p", "say", f"echo $$ > {tmp_path}/begun; exec sleep 1000")
    with pytest.raises(Stopped):
        dump([str(run)], folder / "out", Workspace(folder, Asked(), print))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "begun").read_text()), 0)


def test_dumps_and_secrets_can_be_read_by_their_owner_alone(work: Workspace) -> None:
    os.umask(os.umask(0))
    dump(["echo", "x"], work.folder / "out", work)
    private_file(work.folder, "secret", b"word")
    for name in ("out", "secret"):
        assert stat.S_IMODE((work.folder / name).stat().st_mode) == 0o600


def test_a_secret_is_never_written_into_a_file_that_is_there_already(tmp_path: Path, work: Workspace) -> None:
    (work.folder / "secret").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        private_file(work.folder, "secret", b"word")
    assert not (tmp_path / "elsewhere").exists()


def test_a_password_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("word\n")
    file.chmod(0o640)
    assert password_in(str(file)) == "word"
    file.chmod(0o644)
    with pytest.raises(SourceFailed, match="read by others"):
        password_in(str(file))
    with pytest.raises(SourceFailed, match="cannot be read"):
        password_in(str(tmp_path / "none"))
    for name in ("mysql", "postgres"):
        module = MODULES[name]
        options = module.Options(database="a", password_file=str(file))  # type: ignore[call-arg]
        (source,) = module.sources("db", options)
        assert any("read by others" in problem.text for problem in module.check(source))


def test_room_is_looked_at_before_a_dump_begins(work: Workspace) -> None:
    require_room(work.folder, 1000, "a dump")
    with pytest.raises(NoSpace, match="a dump needs about"):
        require_room(work.folder, 1 << 60, "a dump")


def test_a_program_that_is_missing_is_named(work: Workspace) -> None:
    with pytest.raises(ProgramMissing, match="/opt/none"):
        MODULES["command"].prepare(command("/opt/none"), work)
    assert [each.text for each in MODULES["command"].check(command("/opt/none"))]


# --- databases whose programs break off ------------------------------------------------------------------------------


def mysql(path: Path, dumping: str, **options: object) -> Source:
    """A database whose client says how large it is, and whose dump is made so."""
    program(path, "mariadb", f'echo "$@" >> {path}/words; case "$*" in *sum*) echo 1000;; esac')
    program(path, "mariadb-dump", f'echo "$@" >> {path}/words; cp "${{1#--defaults-file=}}" {path}/options\n{dumping}')
    (source,) = MODULES["mysql"].sources("db", MysqlOptions(database="shop", **options))  # type: ignore[arg-type]
    return source


@pytest.mark.parametrize(
    "dumping", ["echo 'create table x;'", "true", "echo '-- Dump completed'; exit 2", "echo '-- Dump compl'"]
)
def test_a_dump_of_mariadb_that_broke_off_is_refused(path: Path, work: Workspace, dumping: str) -> None:
    with pytest.raises(SourceFailed):
        MODULES["mysql"].prepare(mysql(path, dumping), work)


def test_a_password_of_mariadb_is_in_no_command_line(path: Path, tmp_path: Path, work: Workspace) -> None:
    file = tmp_path / "password"
    file.write_text('s3c"ret\n')
    file.chmod(0o600)
    source = mysql(path, "echo '-- Dump completed'", user="ann", password_file=str(file))
    assert bytes_of(MODULES["mysql"].prepare(source, work)) == {b"database.sql": b"-- Dump completed\n"}
    assert "s3c" not in (path / "words").read_text()
    assert 'password="s3c\\"ret"' in (path / "options").read_text()


_KEEP_PASS = 'test -z "$PGPASSFILE" || cp "$PGPASSFILE" {}/pass'


def postgres(path: Path, dumping: str, reading: str = "true", **options: object) -> Source:
    program(path, "psql", "echo 1000")
    program(
        path, "pg_dump", f'echo "$@" >> {path}/words; env > {path}/environment; cp "$PGPASSFILE" {path}/pass\n{dumping}'
    )
    program(path, "pg_restore", reading)
    program(path, "pg_dumpall", "echo '-- PostgreSQL database cluster dump complete'")
    (source,) = MODULES["postgres"].sources("db", PostgresOptions(database="shop", **options))  # type: ignore[arg-type]
    return source


def test_a_dump_of_postgres_that_cannot_be_read_to_its_end_is_refused(path: Path, work: Workspace) -> None:
    source = postgres(path, "echo PGDMP", "echo 'pg_restore: could not read from input file' >&2; exit 1")
    with pytest.raises(SourceFailed, match="pg_restore ended with 1: pg_restore: could not read"):
        MODULES["postgres"].prepare(source, work)


def test_a_password_of_postgres_is_in_no_command_line_and_no_environment(
    path: Path, tmp_path: Path, work: Workspace
) -> None:
    file = tmp_path / "password"
    file.write_text("s3c:r\\et\n")
    file.chmod(0o600)
    source = postgres(path, "echo PGDMP", password_file=str(file))
    found = bytes_of(MODULES["postgres"].prepare(source, work))
    assert sorted(found) == [b"database.dump", b"globals.sql"]
    assert "s3c" not in (path / "words").read_text() + (path / "environment").read_text()
    assert (path / "pass").read_text() == "*:*:*:*:s3c\\:r\\\\et\n"


def test_a_database_that_is_named_like_a_connection_is_only_a_name(path: Path, work: Workspace) -> None:
    source = postgres(path, "echo PGDMP", globals="no")
    options = PostgresOptions(database="host=evil password='x", globals="no")
    (source,) = MODULES["postgres"].sources("db", options)
    MODULES["postgres"].prepare(source, work)
    assert "dbname='host=evil password=\\'x'" in (path / "words").read_text()
