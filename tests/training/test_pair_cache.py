"""The cache of rendered pairs on a disk that has room, and on one that has none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from aliaug_edge.errors import OutputError
from aliaug_edge.training import pair_cache as module
from aliaug_edge.training.pair_cache import _new_array, pair_cache


def test_an_array_s_room_is_reserved_before_it_is_written(tmp_path: Path) -> None:
    array = _new_array(tmp_path / "a.npy", (64, 32, 32, 3), np.uint8)
    status = (tmp_path / "a.npy").stat()
    assert status.st_blocks * 512 >= array.nbytes  # no holes
    assert not array.any()


def fails_with(code: int) -> object:
    def reserve(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return reserve


def test_a_full_disk_is_one_clear_line_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", fails_with(errno.ENOSPC), raising=False)
    monkeypatch.setattr(module, "_render_one", lambda _: pytest.fail("rendered"))
    with pytest.raises(
        OutputError, match=r"pairs: No space left .*12000 pairs.* 1\.3 GiB"
    ) as error:
        pair_cache(tmp_path / "pairs", 12000, 128, 0)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "pairs" / "pairs.json").exists()


def test_a_file_system_that_reserves_nothing_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", fails_with(errno.EOPNOTSUPP), raising=False)
    assert _new_array(tmp_path / "a.npy", (4,), np.float32).shape == (4,)


def test_a_folder_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "pairs").write_text("mine")
    with pytest.raises(OutputError, match="cannot write"):
        pair_cache(tmp_path / "pairs", 2, 32, 0)
