"""Which images a folder holds."""

from __future__ import annotations

from pathlib import Path

from aliaug_edge.errors import DataError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def list_images(folder: Path) -> list[Path]:
    """The images directly in `folder`, sorted by name; hidden files are skipped.

    Raises:
        DataError: the folder is missing, cannot be read, or holds no image.
    """
    found = find_images(folder)
    if found:
        return found
    if not folder.exists():
        raise DataError(f"{folder} does not exist; expected a folder of images")
    raise DataError(f"{folder} holds no images; expected {', '.join(sorted(IMAGE_SUFFIXES))}")


def find_images(folder: Path) -> list[Path]:
    """As `list_images`, but none where the folder is missing or holds none.

    Raises:
        DataError: it is no folder, or cannot be read.
    """
    try:
        return sorted(
            p
            for p in folder.iterdir()
            if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and p.is_file()
        )
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise DataError(f"{folder} is not a folder; expected a folder of images") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}") from error
