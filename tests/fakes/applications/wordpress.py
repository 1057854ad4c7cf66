"""A WordPress site as Debian brings it, with a folder and a database of its own, used by PHP without a web server."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from fakes.applications.mariadb import Mariadb
from fakes.applications.programs import said

_SOURCE = Path("/usr/share/wordpress")
USER, PASSWORD = "admin", 'it\'s a "secret" \\ #word'
#: Of the account in the database: with what is hard for those who carry it in files.
DATABASE_PASSWORD = "p'a\"s\\s#w;o%r d"


@dataclass(frozen=True)
class Wordpress:
    """A site. folder: with wp-config.php and everything else."""

    folder: Path

    def php(self, code: str) -> str:
        """What PHP says that has the whole site loaded."""
        load = f"$_SERVER['HTTP_HOST'] = 'localhost'; require '{self.folder}/wp-load.php'; "
        return said("php", "-d", "display_errors=stderr", "-r", load + code).strip()

    def write_config(self, database: str, socket: Path) -> None:
        """The settings, with comments and salts as people have them."""
        password = DATABASE_PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        (self.folder / "wp-config.php").write_text(
            "<?php\n"
            "// define('DB_NAME', 'not_this_one');\n"
            "/* define( 'DB_USER', 'nor_this' ); */\n"
            f"define( 'DB_NAME', '{database}' );\n"
            "define( 'DB_USER', 'site' );\n"
            f"define( 'DB_PASSWORD', '{password}' );\n"
            f'define( "DB_HOST", "localhost:{socket}" );\n'
            "define( 'AUTH_KEY', '?>#//define(\"DB_NAME\", \"x\");' );\n"
            "$table_prefix = 'wp_';\n"
            "if ( ! defined( 'ABSPATH' ) ) { define( 'ABSPATH', __DIR__ . '/' ); }\n"
            "require_once ABSPATH . 'wp-settings.php';\n"
        )
        (self.folder / "wp-config.php").chmod(0o640)


def install(folder: Path, server: Mariadb, database: str) -> Wordpress:
    """Make a site with a login, a post and an upload."""
    shutil.copytree(_SOURCE, folder, ignore_dangling_symlinks=True)
    site = Wordpress(folder)
    escaped = DATABASE_PASSWORD.replace("\\", "\\\\").replace("'", "''")
    server.sql(
        f"create database {database}; create user site@localhost identified by '{escaped}';"
        f" grant all on *.* to site@localhost"
    )
    site.write_config(database, server.socket)
    quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    said(
        "php",
        "-r",
        "define('WP_INSTALLING', true); $_SERVER['HTTP_HOST'] = 'localhost';"
        f"require '{folder}/wp-load.php'; require ABSPATH . 'wp-admin/includes/upgrade.php';"
        "function wp_new_blog_notification() {}"
        f"wp_install('Shop', '{USER}', 'admin@example.org', true, '', wp_slash('{quoted}'));",
    )
    (folder / "wp-content" / "uploads").mkdir(exist_ok=True)
    (folder / "wp-content" / "uploads" / "receipt.pdf").write_bytes(bytes(range(256)) * 40)
    site.php("wp_insert_post(['post_title' => 'Tea', 'post_content' => 'Prices: ½ £', 'post_status' => 'publish']);")
    return site
