"""Configuration to test with: three modules, and the beginnings of a client's bk.toml."""

from bkcore.config.client import SourceOptions
from bkcore.config.values import AbsolutePath

# A whole ed25519 key, of zeros.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class Directories(SourceOptions, tag="directories", frozen=True, kw_only=True):
    path: AbsolutePath


class Git(SourceOptions, tag="git", frozen=True, kw_only=True):
    below: list[str]


class Sqlite(SourceOptions, tag="sqlite", frozen=True, kw_only=True):
    path: AbsolutePath


MODULES: dict[str, type[SourceOptions]] = {
    "directories": Directories,
    "git": Git,
    "sqlite": Sqlite,
    "rsync": Directories,
}

TOP = 'format = 1\nrole = "client"\nname = "web1"\n'
SERVER = f'[server.main]\nurl = "ssh://backupsrv@backup.example.org:2222/web1.git"\nhost-keys = ["{KEY}"]\n'
HOME = '[source.home]\nmodule = "directories"\npath = "/home"\n'
