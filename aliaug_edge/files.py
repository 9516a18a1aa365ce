"""Files written so that nothing is ever half there: a temporary name first, then a rename.

Every writer of the project goes through here, because a run may be killed, and a disk may be full,
at any byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aliaug_edge.errors import OutputError

# The mask can only be read by setting it, which is safe once, before there are writing threads.
_UMASK = os.umask(0)
os.umask(_UMASK)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step; on any failure what stood there before is untouched.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".tmp", dir=path.parent
        )
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, 0o666 & ~_UMASK)  # noqa: PTH101 - mkstemp makes files private
        os.replace(temporary, path)  # noqa: PTH105
        temporary = None
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another "
            "output folder"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of `text` as UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, document: Any) -> None:
    """Write `document` as JSON with sorted keys, so that equal documents are equal bytes."""
    write_text(path, json_text(document))


def json_text(document: Any) -> str:
    """JSON of `document`, indented, keys sorted, ending in a newline; NaN is refused."""
    return (
        json.dumps(document, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    )


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of the file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def staged_dir(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when the block ends well and vanishes otherwise.

    `target` must not exist, or be an empty folder.

    Raises:
        OutputError: `target` holds something, or its parent cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(
            f"{target} exists and is not an empty folder; choose another output folder or remove it"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        staged.chmod(0o777 & ~_UMASK)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    try:
        yield staged
        if target.exists():
            target.rmdir()
        staged.rename(target)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}; free some space or choose another "
            "output folder"
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def is_text(name: str) -> bool:
    """Whether a file of JSON can hold `name`: Python makes half surrogates of bytes in a file's
    name that are not valid UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_temporary(name: str, of: str = "") -> bool:
    """Whether a writer of this module made this name for a file called `of…` and was killed."""
    return name.startswith(f".{of}") and name.endswith(".tmp")


def remove_temporaries(folder: Path) -> None:
    """Sweep what killed writers left below `folder`, which must be known to be ours."""
    for path in sorted(folder.rglob(".*.tmp")):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
