"""Writing a bundle's manifest, which vouches for every other file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aliaug_edge import files
from aliaug_edge.bundle.contract import MANIFEST, SCHEMA_VERSION


def save_manifest(root: Path, document: Mapping[str, Any]) -> None:
    """Write bundle.json over a folder whose other files are complete.

    `document` is the manifest without `schema_version` and `files`; both are added here, the hash
    of every file below `root` included (hidden files and `engines/` left out).
    """
    listed = {}
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        left_out = relative.parts[0] == "engines" or any(p.startswith(".") for p in relative.parts)
        if path.is_file() and not left_out and relative.as_posix() != MANIFEST:
            listed[relative.as_posix()] = {
                "sha256": files.sha256_of_file(path),
                "bytes": path.stat().st_size,
            }
    files.write_json(
        root / MANIFEST, {**document, "schema_version": SCHEMA_VERSION, "files": listed}
    )


def spec_document(value: Any) -> Any:
    """Plain JSON data of a `GraphSpec`, `ClassSpec` or `TensorSpec`."""
    return dataclasses.asdict(value)
