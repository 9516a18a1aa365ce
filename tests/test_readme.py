"""Every `ali-aug` line of the README runs, in its order, on small settings."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.bases import write_base

README = Path(__file__).parents[1] / "README.md"
# What makes a command small; the rest of the line stays as a reader would type it.
SMALLER = {
    "train": ["--steps", "3", "--batch-size", "2", "--size", "64", "--quiet"],
    "export": ["--sizes", "64"],
    # An untrained base damages what it should leave alone: keep its images all the same.
    "generate": ["--min-change", "0", "--min-preservation", "0"],
    "profile": ["--iterations", "3", "--warmup-ms", "1"],
    "evaluate": [
        *("--conditions", "classic,copy-paste-1x", "--detector-steps", "2"),
        *("--seeds", "1", "--workers", "1", "--folds", "1"),
    ],
    "make": ["--defects", "4", "--good", "4", "--size", "96x128"],
}
COUNT = "4"


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("ali-aug ")]


def small(words: list[str], base: Path) -> list[str]:
    if "--count" in words:
        words[words.index("--count") + 1] = COUNT
    for name, extra in SMALLER.items():
        if name in words[1:3]:
            words = [*words, *extra]
    return [*words, "--base", str(base)] if words[1] == "train" else words


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from aliaug_edge.cli import main; main()"]
    return subprocess.run(
        [*program, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=600
    )


def test_the_readme_has_the_main_job() -> None:
    used = {words[1] for words in commands()}
    wanted = {"data", "train", "export", "generate", "profile", "report", "doctor", "evaluate"}
    assert wanted <= used


def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    made = run(small(["ali-aug", "data", "make", "data"], base), tmp_path)
    assert made.returncode == 0, made.stderr
    for words in commands():
        result = run(small(words, base), tmp_path)
        assert result.returncode == 0, f"{shlex.join(words)}\n{result.stderr}"
    for product in ("run", "bundle", "dataset", "synthetic", "report.html", "drawn"):
        assert (tmp_path / product).exists(), product


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README.read_text("utf-8")))
def test_every_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (README.parent / link).exists()
