"""docs/jetson.md and docker/README.md: the commands they show exist, and so do the messages."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from aliaug_edge.cli.app import app

ROOT = Path(__file__).parents[1]
JETSON = ROOT / "docs/jetson.md"
DOCKER = ROOT / "docker/README.md"


def shown_commands(path: Path) -> list[list[str]]:
    """The words after `ali-aug` of every line in a shell block that runs it."""
    blocks = re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    found = [words[1:] for words in lines if words[0] == "ali-aug"]
    for words in lines:
        if words[:2] == ["docker", "run"]:
            image = next(i for i, word in enumerate(words) if word.startswith("aliaug-edge"))
            found.append(words[image + 1 :])
    assert found
    return found


def quoted_messages() -> list[str]:
    """The first column of the table of failures, cut at its ellipses."""
    section = JETSON.read_text(encoding="utf-8").partition("## What goes wrong")[2]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [re.findall(r"`([^`]+)`", row.split(" | ")[0])[0] for row in rows]
    parts = [part.strip(" ()") for cell in cells if cell != "Killed" for part in cell.split("…")]
    return [part for part in parts if " " in part]


def source_text() -> str:
    """All string literals of the package's code, those that Python joins made one."""
    files = sorted((ROOT / "aliaug_edge").rglob("*.py"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


@pytest.mark.parametrize("path", [JETSON, DOCKER], ids=lambda path: path.name)
def test_every_command_and_flag_exists(path: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for words in shown_commands(path):
        command = commands[words[0]]
        known = {name for parameter in command.params for name in parameter.opts}
        given = {word.partition("=")[0] for word in words[1:] if word.startswith("-")}
        assert given <= known, shlex.join(words)


def test_every_message_in_the_table_of_failures_is_one_of_ours() -> None:
    messages = quoted_messages()
    assert len(messages) > 8
    text = source_text()
    for message in messages:
        assert message in text, message


@pytest.mark.parametrize("path", [JETSON, DOCKER], ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", [JETSON, DOCKER], ids=lambda path: path.name)
def test_what_never_ran_is_said_before_anything_else(path: Path) -> None:
    first = path.read_text(encoding="utf-8").split("\n\n")[1]
    assert re.match(r"\*\*(None of this ran|Never built, never run)", first)
