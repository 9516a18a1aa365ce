"""A cache folder that a library fills, and loads again without a question: kept honest by hashes.

ONNX Runtime's TensorRT provider deserialises what lies in its folder, and deserialising runs code.
So every file there has its SHA-256 in an index, and what the index does not vouch for is removed
before a session is opened. As with our own engines that finds damage and strange files; it does not
stop somebody who may write to the bundle folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from aliaug_edge import files
from aliaug_edge.errors import OutputError

INDEX = "vouched.json"


def keep_vouched(folder: Path) -> bool:
    """Remove from `folder` what differs from its index or is not in it, and say so. False where
    that cannot be done: then the folder is not to be used."""
    listed = _listed(folder)
    dropped = []
    try:
        for path in _contents(folder):
            if path.is_symlink() or listed.get(path.name) != files.sha256_of_file(path):
                path.unlink()
                dropped.append(path.name)
    except OSError as error:
        print(f"{folder} is not used as a cache: {error}", file=sys.stderr)
        return False
    if dropped:
        print(
            f"removed from {folder}, whose index does not vouch for it: {', '.join(dropped)}; it "
            "is built again",
            file=sys.stderr,
        )
    return True


def vouch(folder: Path) -> None:
    """Vouch for what lies in `folder` now, written by a session that began with sound files. Where
    the index cannot be written, the next session builds again."""
    try:
        hashes = {p.name: files.sha256_of_file(p) for p in _contents(folder)}
        files.write_json(folder / INDEX, {"schema": 1, "files": hashes})
    except (OSError, OutputError) as error:
        print(f"what was built is not kept: {error}", file=sys.stderr)


def _contents(folder: Path) -> list[Path]:
    """Its files, also those of a session that was ended while it wrote them."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name != INDEX and not path.is_dir())


def _listed(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / INDEX).read_text(encoding="utf-8"))["files"]
        return {str(name): str(digest) for name, digest in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
