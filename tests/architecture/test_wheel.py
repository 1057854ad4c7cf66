"""tests/run tests what is installed from the built wheel, not the files that lie beside the tests."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import bkconsole
import bkcore

CHECKOUT = Path(__file__).resolve().parents[2]
BUILT = os.environ.get("BK_TESTS_RUN") == "1"


@pytest.mark.skipif(not BUILT, reason="only tests/run installs the built wheel")
@pytest.mark.parametrize("package", [bkcore, bkconsole])
def test_the_packages_come_from_site_packages(package: object) -> None:
    found = Path(str(getattr(package, "__file__", ""))).resolve()
    assert found.is_relative_to(Path(sysconfig.get_path("purelib")).resolve())


@pytest.mark.skipif(not BUILT, reason="only tests/run installs the built wheel")
def test_a_child_finds_the_installed_packages_too() -> None:
    argv = [sys.executable, "-c", "import bkcore; print(bkcore.__file__)"]
    found = subprocess.run(argv, capture_output=True, check=True, text=True).stdout.strip()
    assert found == bkcore.__file__


def test_the_three_commands_and_the_themes_are_installed() -> None:
    for command in ("bkcore", "bkdb", "bkconsole"):
        assert (Path(sys.executable).parent / command).exists()
    assert (Path(str(bkconsole.__file__)).parent / "themes").is_dir()


def test_every_file_of_the_packages_is_in_what_is_installed() -> None:
    for package in (bkcore, bkconsole):
        source = CHECKOUT / package.__name__
        installed = Path(str(package.__file__)).parent
        wanted = {path.relative_to(source) for path in source.rglob("*.py")}
        assert wanted <= {path.relative_to(installed) for path in installed.rglob("*.py")}
