import os
from pathlib import Path

from bkcore import durable


def test_a_tree_deeper_than_any_path_can_be_named_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(5000):
        os.mkdir("d", dir_fd=here)
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here))
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    durable.remove_tree(top)
    assert list(tmp_path.iterdir()) == []


def test_removing_a_tree_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "other" / "inside").mkdir(parents=True)
    (tmp_path / "top" / "sub").mkdir(parents=True)
    (tmp_path / "top" / "sub" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "top" / "empty").mkdir()
    durable.remove_tree(tmp_path / "top")
    assert (tmp_path / "other" / "inside").is_dir()
    assert not (tmp_path / "top").exists()


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    durable.remove_tree(tmp_path / "nowhere")
