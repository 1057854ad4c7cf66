import subprocess
import sys
from pathlib import Path

import pytest
from fakes.sample_config import TOP
from hypothesis import given
from hypothesis import strategies as st

from bkcore.config.load import load_client
from bkcore.errors import ConfigError
from bkcore.modules import MODULES, option_types, sources_of
from bkcore.modules.base import Source
from bkcore.modules.directories import DirectoriesOptions
from bkcore.modules.git import GitOptions
from bkcore.modules.labels import label_of, unique
from bkcore.request import is_label
from bkcore.state import Method

OPTIONS = GitOptions(below=["/srv"])


def loaded(folder: Path, text: str) -> list[Source]:
    path = folder / "bk.toml"
    path.write_text(TOP + text)
    return sources_of(load_client(path, option_types(MODULES)), MODULES)


def repository(path: Path) -> Path:
    for part in ("objects", "refs"):
        (path / part).mkdir(parents=True)
    (path / "HEAD").write_text("ref: refs/heads/master\n")
    return path


def test_a_configuration_gives_its_sources_with_labels_of_their_own(tmp_path: Path) -> None:
    for name in ("a.git", "team/a.git", "wood/tree/.git"):
        repository(tmp_path / "srv" / name)
    found = loaded(
        tmp_path,
        f'[source.home]\nmodule = "directories"\npath = "/home/"\n'
        f'[source.etc]\nmodule = "rsync"\npath = "/etc"\nas = "archive"\n'
        f'[source.repos]\nmodule = "git"\nbelow = ["{tmp_path}/srv"]\n'
        f'[source.shop]\nmodule = "sqlite"\npath = "/var/shop.sqlite"\n',
    )
    assert [(each.label, each.module, each.method, each.path) for each in found] == [
        ("home", "directories", Method.RSYNC, b"/home"),
        ("etc", "directories", Method.SFTP, b"/etc"),
        ("repos-a.git", "git", Method.GIT, bytes(tmp_path / "srv/a.git")),
        ("repos-team_a.git", "git", Method.GIT, bytes(tmp_path / "srv/team/a.git")),
        ("repos-wood_tree", "git", Method.GIT, bytes(tmp_path / "srv/wood/tree/.git")),
        ("shop", "sqlite", Method.SFTP, b"/var/shop.sqlite"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[source.x]\nmodule = "git"\n', "source.x.path: needs either path"),
        (
            '[source.x]\nmodule = "mysql"\ndatabase = "a"\n[source.y]\nmodule = "mysql"\ndatabase = "a"\nuser = "b"\n',
            "source.y: is the same as",
        ),
        ('[source.x]\nmodule = "command"\nrun = "date"\n', "source.x.run: must begin with the full path"),
        ('[source.x]\nmodule = "command"\nrun = "/bin/a \'"\n', "source.x.run: cannot be split"),
        ('[source.x]\nmodule = "command"\nrun = "/bin/a"\nfile = "a/b"\n', "source.x.file: must be the name"),
        ('[source.x]\nmodule = "postgres"\ndatabase = ""\n', "source.x.database: must be the name"),
        ('[source.x]\nmodule = "mysql"\ndatabase = "-e"\n', "source.x.database: must be the name"),
        ('[source.x]\nmodule = "mysql"\ndatabase = "a"\nhost = "b"\nsocket = "/c"\n', "source.x.socket: and host"),
        ('[source.x]\nmodule = "sqlite"\npath = "/a"\nexclude = ["b"]\n', "source.x.exclude: has no meaning"),
        ('[source.x]\nmodule = "trac"\npath = "/a"\nexclude = ["!"]\n', "source.x.exclude"),
        ('[source.x]\nmodule = "git"\npath = "/a"\nbelow = ["/b"]\n', "source.x.path: needs either path"),
        ('[source.x]\nmodule = "directories"\npath = "home"\n', "starts at /"),
        ('[source.x]\nmodule = "directories"\npath = "/home"\nexclude = ["- *"]\n', "not a rule"),
        ('[source.x]\nmodule = "directories"\npath = "/home"\nexclude = ["a", "/"]\n', "must be a pattern"),
    ],
)
def test_faults_of_options_are_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        loaded(tmp_path, text)


def source(label: str, path: bytes) -> Source:
    return Source(label, "git", Method.GIT, path, OPTIONS)


def test_labels_that_collide_all_get_a_hash_and_keep_it() -> None:
    alone = unique([source("r-a_b", b"/r/a/b")], frozenset({"r"}))
    both = unique([source("r-a_b", b"/r/a/b"), source("r-a_b", b"/r/a_b")], frozenset({"r"}))
    turned = unique([source("r-a_b", b"/r/a_b"), source("r-a_b", b"/r/a/b")], frozenset({"r"}))
    assert [each.label for each in alone] == ["r-a_b"]
    assert len({each.label for each in both}) == 2
    assert {each.label for each in both} == {each.label for each in turned}
    assert "r-a_b" not in {each.label for each in both}


def test_a_name_of_the_configuration_stays_when_a_path_makes_the_same_label() -> None:
    named = Source("r-a", "directories", Method.RSYNC, b"/x", DirectoriesOptions(path="/x"))
    first, second = unique([source("r-a", b"/r/a"), named], frozenset({"r", "r-a"}))
    assert first.label.startswith("r-a-")
    assert second.label == "r-a"


@given(st.binary(min_size=1, max_size=400))
def test_every_path_makes_a_label(path: bytes) -> None:
    label = label_of("repos", path)
    assert is_label(label)
    first, second = unique([source(label, b"/1" + path), source(label, b"/2" + path)], frozenset())
    assert is_label(first.label)
    assert first.label != second.label


def test_the_registry_loads_nothing_heavy() -> None:
    heavy = "sqlite3 asyncio zstandard pygit2 pyfastcdc importlib.metadata"
    code = f"import bkcore.modules, bkcore.retrieval, sys; print([m for m in {heavy.split()} if m in sys.modules])"
    root = str(Path(sys.modules["bkcore"].__path__[0]).parent)
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_module_is_found_under_its_own_name() -> None:
    assert {name: module.name for name, module in MODULES.items()} == {name: name for name in MODULES}


def test_databases_of_one_name_on_several_servers_are_sources_of_their_own(tmp_path: Path) -> None:
    servers = ("", 'socket = "/run/b.sock"\n', 'host = "db"\n', 'host = "db"\nport = 3307\n')
    tables = (f'[source.x{at}]\nmodule = "mysql"\ndatabase = "a"\n{each}' for at, each in enumerate(servers))
    found = loaded(tmp_path, "".join(tables))
    assert [each.label for each in found] == ["x0", "x1", "x2", "x3"]
    assert [each.path for each in found] == [b"/mysql/a", b"/mysql/run/b.sock/a", b"/mysql/db/a", b"/mysql/db:3307/a"]


def test_one_folder_as_a_tree_and_as_an_archive_is_a_fault(tmp_path: Path) -> None:
    tree = '[source.x]\nmodule = "directories"\npath = "/a"\n'
    archive = '[source.y]\nmodule = "rsync"\npath = "/a/"\nas = "archive"\n'
    with pytest.raises(ConfigError, match=r"source\.y: is the same as \[source\.x\]"):
        loaded(tmp_path, tree + archive)


def test_a_repository_that_is_named_itself_is_not_one_of_those_found_below(tmp_path: Path) -> None:
    for name in ("a.git", "b.git"):
        repository(tmp_path / "srv" / name)
    found = loaded(
        tmp_path,
        f'[source.all]\nmodule = "git"\nbelow = ["{tmp_path}/srv"]\n'
        f'[source.mine]\nmodule = "git"\npath = "{tmp_path}/srv/a.git"\nevery = "1h"\n',
    )
    assert [each.label for each in found] == ["all-b.git", "mine"]
