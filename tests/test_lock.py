"""One run at a time holds an output folder."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aliaug_edge.errors import OutputError
from aliaug_edge.lock import exclusive

HOLD = """
import sys
from pathlib import Path
from aliaug_edge.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_held_folder_is_refused_and_free_again_afterwards(tmp_path):
    out = tmp_path / "deep" / "out"
    with exclusive(out), pytest.raises(OutputError, match="another run is writing to"):
        exclusive(out).__enter__()
    with exclusive(out):
        pass
    assert list(out.iterdir()) == []


def test_the_lock_goes_with_a_killed_process(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(OutputError, match="another run is writing to"):
            exclusive(tmp_path).__enter__()
        process.kill()
        process.wait()
    with exclusive(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"cannot write .*file/out"):
        exclusive(tmp_path / "file" / "out").__enter__()
