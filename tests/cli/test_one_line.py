"""Whatever a user's machine does: one line on stderr, and what is printed can be printed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.bundles import make_bundle
from support.commands import run_command

from aliaug_edge.errors import DataError

MAIN = "from aliaug_edge.cli import main; main()"


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.ENAMETOOLONG, errno.EIO])
def test_what_the_system_refuses_is_one_line_wherever_it_comes_up(number: int) -> None:
    def command() -> None:
        raise OSError(number, os.strerror(number), "/line/part.png")

    done = run_command(command)
    assert done.exit_code == 1
    said = f"error: /line/part.png cannot be used: {os.strerror(number)}; mend it or choose another"
    assert done.stderr == f"{said}\n"


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EINVAL])
def test_what_only_a_bug_of_ours_causes_keeps_its_traceback(number: int) -> None:
    def command() -> None:
        raise OSError(number, os.strerror(number), "/line/part.png")

    assert isinstance(run_command(command).exception, OSError)


def test_a_message_is_one_line_whatever_a_file_is_called() -> None:
    def command() -> None:
        raise DataError("two\nlines.png is empty")

    assert run_command(command).stderr == "error: two lines.png is empty\n"


def test_a_name_that_the_terminal_cannot_write_is_escaped(tmp_path: Path) -> None:
    """A path may be no text; Python's own way is a traceback when the work is done."""
    bundle, out = make_bundle(tmp_path / "bundle"), tmp_path / "no text \udcff.html"
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "report", "--bundle", str(bundle), "-o", str(out)],
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert out.is_file() and rb"no text \udcff.html" in done.stdout
