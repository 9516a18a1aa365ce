"""Documents that list what the repository holds list all of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from aliaug_edge.evaluation.conditions import DEFAULT, all_conditions

ROOT = Path(__file__).parents[1]
DECISIONS = ROOT / "docs/decisions"


def rooms() -> list[str]:
    """Modules and packages directly in `aliaug_edge`, as docs/architecture.md writes them."""
    found = (path for path in (ROOT / "aliaug_edge").iterdir() if path.name[0] not in "_.")
    packages = [f"{p.name}/" for p in found if (p / "__init__.py").is_file()]
    modules = [p.name for p in (ROOT / "aliaug_edge").glob("[a-z]*.py")]
    return sorted(packages + modules)


@pytest.mark.parametrize("room", rooms())
def test_the_architecture_names_every_room(room: str) -> None:
    assert f"`{room}`" in (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", sorted((ROOT / "aliaug_edge").rglob("__init__.py")))
def test_every_package_says_what_it_is_for(package: Path) -> None:
    assert ast.get_docstring(ast.parse(package.read_text(encoding="utf-8")))


def test_the_evaluation_guide_names_the_conditions_that_run_by_default() -> None:
    text = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"By default run (.*?)\. ", text, flags=re.DOTALL)
    assert tuple(re.findall(r"`([^`]+)`", listed)) == DEFAULT


def test_conditions_that_the_documents_and_the_help_name_are_there() -> None:
    known = {condition.name for condition in all_conditions()}
    guides = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in guides)
    named = set(re.findall(r"`((?:copy-paste|perlin|cutpaste|nas|cas)-[a-z0-9.-]+)`", text))
    assert len(named) > 5
    assert named <= known


def test_the_list_of_decisions_is_complete_and_in_order() -> None:
    text = (DECISIONS / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((\d{4}-[^)]+\.md)\)", text)
    assert linked == sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    numbers = re.findall(r"^(\d+)\. \[", text, flags=re.MULTILINE)
    assert numbers == [str(int(name[:4])) for name in linked]
