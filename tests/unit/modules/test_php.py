import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.errors import SourceFailed
from bkcore.modules.mysql import Login
from bkcore.modules.php import settings
from bkcore.modules.wordpress import login, read_config

# What PHP puts between single quotes: only the quote and the backslash are escaped.
texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40)


def single(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@given(texts, texts)
def test_whatever_stands_in_single_quotes_is_read_as_it_is(one: str, two: str) -> None:
    said = settings(f"<?php define('A', {single(one)}); $b = {single(two)};", "f")
    assert said.values == {"A": one, "$b": two}


@given(texts)
def test_no_text_at_all_ends_in_anything_but_an_answer(text: str) -> None:
    settings(text, "f")
    settings("<?php " + text, "f")


@pytest.mark.parametrize(
    "code",
    [
        "// define('A', 'no');\n",
        "# define('A', 'no');\n",
        "/* define('A', 'no'); */",
        "/** $x = 1;\n define('A', 'no'); */",
        "$s = 'define(\\'A\\', 1);';",
        "$s = \"define('A', 'no');\";",
        "$s = <<<EOT\ndefine('A', 'no');\nEOT;\n",
        "?> define('A', 'no'); <?php ",
    ],
)
def test_what_is_no_code_is_no_setting(code: str) -> None:
    assert "A" not in settings(f"<?php {code}", "f").values
    assert settings(f"<?php {code} define('A', 'yes');", "f").get("A") == "yes"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ('"a\\tb\\x41\\101\\u{e9}\\$"', "a\tbAA\u00e9$"),
        ("12", "12"),
        ("true", "1"),
        ("FALSE", ""),
        ("null", ""),
    ],
)
def test_the_other_plain_values_are_read_as_php_means_them(value: str, read: str) -> None:
    assert settings(f"<?php define('A', {value});", "f").get("A") == read


@pytest.mark.parametrize("value", ["getenv('X')", "'a' . 'b'", '"$b"', '"{$b}c"', "B", "['x']", "__DIR__ . '/x'"])
def test_what_is_computed_is_said_to_be_and_never_guessed(value: str) -> None:
    said = settings(f"<?php define('A', 'old'); define('A', {value});", "site.php")
    with pytest.raises(SourceFailed, match=r"site\.php computes A") as told:
        said.get("A")
    assert "bk.toml" in told.value.hint


def test_a_setting_that_is_missing_is_named() -> None:
    with pytest.raises(SourceFailed, match="does not say DB_NAME"):
        settings("<?php", "f").get("DB_NAME")
    assert settings("<?php", "f").get("DB_NAME", "x") == "x"


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("localhost", Login("u", "p", "localhost")),
        ("db.example.org:3307", Login("u", "p", "db.example.org", 3307)),
        ("localhost:/run/my.sock", Login("u", "p", "", None, "/run/my.sock")),
        (":/run/my.sock", Login("u", "p", "", None, "/run/my.sock")),
        ("[::1]:3306", Login("u", "p", "::1", 3306)),
        ("10.0.0.1", Login("u", "p", "10.0.0.1")),
    ],
)
def test_every_form_of_a_database_host_is_understood(host: str, found: Login) -> None:
    said = settings(f"<?php define('DB_USER','u'); define('DB_PASSWORD','p'); define('DB_HOST','{host}');", "f")
    assert login(said) == found


def test_a_host_that_is_none_is_said() -> None:
    said = settings("<?php define('DB_USER','u'); define('DB_PASSWORD','p'); define('DB_HOST','a:b:c');", "f")
    with pytest.raises(SourceFailed, match="no address"):
        login(said)


def test_settings_lie_in_the_folder_or_above_it_or_where_it_is_said(tmp_path: Path) -> None:
    site = tmp_path / "www" / "site"
    site.mkdir(parents=True)
    with pytest.raises(SourceFailed, match=r"no wp-config\.php"):
        read_config(bytes(site), None)
    named = tmp_path / "named.php"
    for place in (named, site.parent / "wp-config.php", site / "wp-config.php"):
        place.write_text(f"<?php define('AT', '{place}');")
    assert read_config(bytes(site), None)[1].get("AT") == str(site / "wp-config.php")
    (site / "wp-config.php").unlink()
    assert read_config(bytes(site), None)[1].get("AT") == str(site.parent / "wp-config.php")
    assert read_config(bytes(site), str(named))[1].get("AT") == str(named)


@given(texts.filter(lambda text: "\n" not in text and "\0" not in text and "\r" not in text))
def test_a_password_in_an_option_file_is_quoted_and_all_of_it_there(password: str) -> None:
    (line,) = [line for line in Login(password=password).file().split("\n") if line.startswith("password=")] or [""]
    inner = line.removeprefix('password="').removesuffix('"')
    assert inner.replace('\\"', '"').replace("\\\\", "\\") == password or "\\" in password
    assert Login(password=password).file().count("\n") == (2 if password else 1)


def test_a_password_that_no_option_file_can_hold_is_said() -> None:
    with pytest.raises(SourceFailed, match="line end"):
        Login(password="a\nuser=root").file()


@pytest.mark.parametrize("text", ["/*", "<<<A\n", "'\\", '"\\', "?>", "//", "define('A',"])
def test_a_text_that_is_never_closed_is_looked_through_once(text: str) -> None:
    begun = time.process_time()
    settings("<?php " + text * 100_000, "f")
    assert time.process_time() - begun < 20


def test_a_fifo_or_an_endless_file_in_the_place_of_settings_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "wp-config.php")
    with pytest.raises(SourceFailed, match="no plain file"):
        read_config(bytes(tmp_path), None)
    (tmp_path / "wp-config.php").unlink()
    with (tmp_path / "wp-config.php").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SourceFailed, match="as no settings are"):
        read_config(bytes(tmp_path), None)
