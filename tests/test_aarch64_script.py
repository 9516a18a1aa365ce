"""scripts/test_aarch64.sh: what it says where it cannot run. A real run takes minutes and root."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts/test_aarch64.sh"
TOOLS = ("qemu-aarch64-static", "debootstrap", "dpkg")

if shutil.which("bash") is None:
    pytest.skip("no bash here", allow_module_level=True)


def run(tools: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script where only `tools`, and what its first lines need, can be found."""
    tools.mkdir(exist_ok=True)
    for name in ("bash", "dirname", "uname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def put(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("missing", [TOOLS, ("debootstrap",)])
def test_missing_tools_are_named_with_the_line_that_installs_them(
    tmp_path: Path, missing: tuple[str, ...]
) -> None:
    here = [name for name in TOOLS if name not in missing]
    result = run(put(tmp_path / "bin", *here))
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"error: {' '.join(missing)} not found; on Debian or Ubuntu run: "
        "apt-get install qemu-user-static debootstrap"
    ]


def test_without_an_environment_it_names_the_command_that_makes_one(tmp_path: Path) -> None:
    uname = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True)
    result = run(put(tmp_path / "bin", *TOOLS), str(tmp_path / "nowhere/python"))
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert ("run: make setup" in result.stderr) == (uname.stdout.strip() == "x86_64")


def test_it_is_no_part_of_what_ci_runs() -> None:
    root = SCRIPT.parents[1]
    recipes = (root / "Makefile").read_text(encoding="utf-8")
    assert "\ntest: setup lint unit\n" in recipes and "\ntest-aarch64: setup\n" in recipes
    assert "aarch64" not in (root / ".ci/run").read_text(encoding="utf-8")
