"""Writing: all of it or nothing of it, whatever the disk, the rights or a kill do."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aliaug_edge import files
from aliaug_edge.errors import OutputError

NOBODY = 65534


@contextlib.contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """The kernel refuses to let any file grow beyond `limit` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.fixture
def foreign_folder() -> Iterator[Path]:
    """A folder with a file in it, in which the current user may not write; root becomes nobody."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "old.txt").write_text("old")
        folder.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            try:
                os.seteuid(NOBODY)
            except OSError:
                pytest.skip("runs as root and cannot give that up")
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_bytes_are_written_into_folders_that_are_made(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "a" / "b" / "c.bin", b"data")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"data"
    assert names(tmp_path / "a" / "b") == ["c.bin"]


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    files.write_text(tmp_path / "a.txt", "Größe")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "Größe"


def test_new_files_have_the_rights_that_the_umask_gives(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "ours", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_full_disk_leaves_the_old_file_and_no_remains(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with file_size_limit(4096), pytest.raises(OutputError, match=r"cannot write .*a\.bin.*free"):
        files.write_bytes(target, bytes(100_000))
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_folder_without_write_permission_is_one_clear_error(foreign_folder: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*Permission denied"):
        files.write_bytes(foreign_folder / "new.txt", b"new")
    with pytest.raises(OutputError, match=r"cannot write .*Permission denied"):
        files.write_bytes(foreign_folder / "old.txt", b"new")
    assert names(foreign_folder) == ["old.txt"]
    assert (foreign_folder / "old.txt").read_text() == "old"


def test_no_folder_can_be_staged_without_write_permission(foreign_folder: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"cannot write .*Permission denied"),
        files.staged_dir(foreign_folder / "run"),
    ):
        pytest.fail("the block must not run")
    assert names(foreign_folder) == ["old.txt"]


def test_a_file_in_the_place_of_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OutputError, match="cannot write"):
        files.write_bytes(tmp_path / "taken" / "a.txt", b"x")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_folder_in_the_place_of_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        files.write_bytes(tmp_path / "a.txt", b"x")
    assert names(tmp_path) == ["a.txt"]


def test_equal_documents_are_equal_bytes(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, "ü"]})
    files.write_json(tmp_path / "b.json", {"a": [1.5, "ü"], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json").read_text(encoding="utf-8").endswith("}\n")


def test_nan_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert names(tmp_path) == []


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256_of_file(tmp_path / "a") == expected


def test_a_staged_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "one"
    with files.staged_dir(target) as staged:
        files.write_text(staged / "a.txt", "a")
        assert not target.exists()
    assert names(target) == ["a.txt"]
    assert names(tmp_path / "runs") == ["one"]


def test_a_staged_folder_may_take_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with files.staged_dir(tmp_path / "out") as staged:
        (staged / "a").touch()
    assert names(tmp_path / "out") == ["a"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_stands_in_the_place_of_a_staged_folder_is_kept(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    if kind == "folder":
        target.mkdir()
        (target / "mine.txt").touch()
    else:
        target.touch()
    with (
        pytest.raises(OutputError, match="exists and is not an empty folder"),
        files.staged_dir(target),
    ):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["out"]
    assert target.is_file() or names(target) == ["mine.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_broken_off_block_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), files.staged_dir(tmp_path / "out") as staged:
        (staged / "half").touch()
        raise error
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_while_staging_leaves_nothing(tmp_path: Path) -> None:
    with (
        file_size_limit(4096),
        pytest.raises(OutputError, match="cannot write"),
        files.staged_dir(tmp_path / "out") as staged,
    ):
        (staged / "big").write_bytes(bytes(100_000))
    assert names(tmp_path) == []


def test_a_killed_writer_leaves_one_of_the_two_whole_files(tmp_path: Path) -> None:
    target = tmp_path / "state.bin"
    program = (
        "import sys, pathlib\n"
        "from aliaug_edge.files import write_bytes\n"
        "while True:\n"
        "    for letter in b'ab':\n"
        "        write_bytes(pathlib.Path(sys.argv[1]), bytes([letter]) * 500_000)\n"
    )
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", program, str(target)])
        try:
            deadline = time.monotonic() + 20
            while not target.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.05)
        finally:
            writer.kill()
            writer.wait()
        assert target.read_bytes() in (b"a" * 500_000, b"b" * 500_000)
        target.unlink()
