"""The images of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from aliaug_edge import imaging
from aliaug_edge.errors import DataError


def test_images_are_listed_by_name_without_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", ".hidden.png", "notes.txt", "sub/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.name for p in imaging.list_images(tmp_path)] == ["a.JPG", "b.png"]


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="gone does not exist"):
        imaging.list_images(tmp_path / "gone")
    with pytest.raises(DataError, match="file is not a folder"):
        imaging.list_images(tmp_path / "file")
    with pytest.raises(DataError, match="empty holds no images"):
        imaging.list_images(tmp_path / "empty")
