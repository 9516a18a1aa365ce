"""A run that is killed, interrupted or out of disk ends, when started again, with the same bytes.

The command runs in a real process. To hit exact moments, the child sends itself the signal at the
n-th rename, which is where `files` makes something visible: right before it (a temporary is left
behind) or right after.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COUNT = 5
LIMIT_BYTES = 4000  # request.json and records fit, images do not
CHILD = """
import os, sys, threading
number, after, at = int(sys.argv[1]), sys.argv[2] == "after", int(sys.argv[3])
lock, calls, rename = threading.Lock(), 0, os.replace
def replace(*args):
    global calls
    with lock:
        calls += 1
        hit = calls == at
    if hit and not after:
        os.kill(os.getpid(), number)
    rename(*args)
    if hit and after:
        os.kill(os.getpid(), number)
if at:
    os.replace = replace
from aliaug_edge.cli import main
from aliaug_edge.cli.app import app
from aliaug_edge.cli.generate import generate
app.registered_commands.clear()
app.command("generate")(generate)
sys.argv[1:] = sys.argv[4:]
main()
"""


class Command:
    """`ali-aug generate` with fixed settings, in a process of its own."""

    def __init__(self, bundle_dir: Path, good_dir: Path) -> None:
        self.arguments = ["generate", str(bundle_dir), "--images", str(good_dir), "--seed", "5"]
        self.arguments += ["-n", str(COUNT), "--engine", "onnxruntime-cpu", "--threads", "1"]

    def start(
        self,
        out: Path,
        number: int = 0,
        when: str = "before",
        at: int = 0,
        file_limit: int | None = None,
    ) -> subprocess.Popen[str]:
        def limit() -> None:
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

        child = [sys.executable, "-c", CHILD, str(int(number)), when, str(at)]
        return subprocess.Popen(
            [*child, *self.arguments, "--out", str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limit,
        )

    def __call__(self, *arguments: Any, **keywords: Any) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **keywords) as process:
            stdout, stderr = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


@pytest.fixture
def command(bundle_dir, good_dir):
    return Command(bundle_dir, good_dir)


@pytest.fixture
def reference(command, tmp_path, hash_of):
    """The hash of an uninterrupted run."""
    done = command(tmp_path / "reference")
    assert done.returncode == 0, done.stderr
    return hash_of(tmp_path / "reference")


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_again_and_again_it_ends_with_the_same_bytes(
    command, reference, tmp_path, hash_of, when
):
    """Killed at the first rename, started again, killed at the second … until it gets through."""
    out, kills = tmp_path / "out", 0
    while True:
        done = command(out, signal.SIGKILL, when, at=kills + 1)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
    assert kills >= 5
    assert hash_of(out) == reference


@pytest.mark.parametrize("at", [1, 3, 17, 20, 25])
def test_killed_once_at_any_point_it_ends_with_the_same_bytes(
    command, reference, tmp_path, hash_of, at
):
    out = tmp_path / "out"
    assert command(out, signal.SIGKILL, "before", at).returncode == -signal.SIGKILL
    assert list(out.rglob(".*.tmp"))
    assert command(out).returncode == 0
    assert hash_of(out) == reference


@pytest.mark.parametrize("at", [2, 7])
def test_ctrl_c_gives_130_one_line_and_a_run_that_continues(
    command, reference, tmp_path, hash_of, at
):
    out = tmp_path / "out"
    done = command(out, signal.SIGINT, "after", at)
    assert done.returncode == 130
    assert done.stderr.strip() == "interrupted"
    assert not list(out.rglob(".*.tmp"))
    assert command(out).returncode == 0
    assert hash_of(out) == reference


def stopped(process: subprocess.Popen[str]) -> bool:
    """Wait until `process` has stopped itself; False when it ended instead."""
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    return os.WIFSTOPPED(status)


@pytest.mark.parametrize("at", [2, 9, 17])
def test_a_second_run_into_the_folder_is_refused_and_harms_nothing(
    command, reference, tmp_path, hash_of, at
):
    """The first run stops in mid-write, with a temporary file that the second must not sweep."""
    out = tmp_path / "out"
    with command.start(out, signal.SIGSTOP, "before", at) as first:
        assert stopped(first)
        before = hash_of(out)
        second = command(out)
        assert second.returncode == 1
        assert second.stderr.startswith(f"error: another run is writing to {out}; wait")
        assert len(second.stderr.splitlines()) == 1
        assert hash_of(out) == before
        first.send_signal(signal.SIGCONT)
        assert first.wait(120) == 0
    assert hash_of(out) == reference


def test_a_full_disk_gives_one_line_and_a_run_that_continues(command, reference, tmp_path, hash_of):
    out = tmp_path / "out"
    done = command(out, file_limit=LIMIT_BYTES)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write")
    assert len(done.stderr.splitlines()) == 1
    assert (out / "request.json").is_file()
    assert not list(out.rglob(".*.tmp"))
    assert command(out).returncode == 0
    assert hash_of(out) == reference


def test_another_request_does_not_continue_a_killed_run(command, tmp_path, hash_of):
    out = tmp_path / "out"
    assert command(out, signal.SIGKILL, "after", 8).returncode == -signal.SIGKILL
    before = hash_of(out)
    command.arguments += ["--seed", "6"]
    done = command(out)
    assert done.returncode == 1
    assert "holds another request: settings.seed was 5, now 6" in done.stderr
    assert hash_of(out) == before


def test_a_killed_run_is_not_continued_on_changed_images(command, good_dir, tmp_path):
    """Of equal size in bytes, and used already: only its content tells."""
    out = tmp_path / "out"
    assert command(out, signal.SIGKILL, "after", 12).returncode == -signal.SIGKILL
    record = json.loads(min((out / ".records").glob("*.json")).read_text())
    source = good_dir / record["source_image"]
    content = bytearray(source.read_bytes())
    content[-1] ^= 1
    source.write_bytes(content)
    done = command(out)
    assert done.returncode == 1
    assert f"error: {source} changed since samples were made from it" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_made_is_one_line(command):
    done = command(Path("/proc/nowhere/out"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write /proc/nowhere/out")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_one_line(command, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    done = command(locked / "out")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert len(done.stderr.splitlines()) == 1
