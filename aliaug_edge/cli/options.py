"""Options and arguments that mean the same in several commands, each with its one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]

BundleName = Annotated[
    str, typer.Argument(help="Bundle folder, or the word tiny for the shipped one.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads of the engine; left out = measured choice.")
]

Classes = Annotated[str, typer.Option(help="Defect classes, by comma; all if left out.")]
Pool = Annotated[str, typer.Option(help="List of split.json to learn from.")]
Groups = Annotated[
    Path | None,
    typer.Option(help="CSV or JSON that names the physical part that each photo shows."),
]

Base = Annotated[
    str, typer.Option(help="`tiny`, a diffusers folder, or a hub name like stabilityai/sd-turbo.")
]
Conditioning = Annotated[str, typer.Option(help="paper, full or light.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
