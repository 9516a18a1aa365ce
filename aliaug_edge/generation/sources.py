"""The good images and mask files of a run: their names, their fingerprint, and quick re-reading."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from aliaug_edge import files, imaging
from aliaug_edge.bundle import PLAIN_BACKDROP
from aliaug_edge.data.procedural import render_surface
from aliaug_edge.errors import DataError
from aliaug_edge.generation.part import part_mask
from aliaug_edge.generation.placement import check_mask
from aliaug_edge.generation.request import PROCEDURAL

KEPT_DECODED = 6  # images; enough for what is read ahead, so memory does not grow with the run
SHOWN_NAMES = 5
MASK_SUFFIX = "_mask"
BYTES_PER_PIXEL = 0.6  # of a grey PNG as `imaging.encode_png` writes it; three times that for RGB


@dataclass(frozen=True)
class Source:
    """A good image (H, W, 3) uint8, and its part (H, W) bool."""

    image: NDArray[np.uint8]
    part: NDArray[np.bool_]


class Sources:
    """Reads good images by name, from `images_dir` or, without one, drawn surfaces; by `backdrop`,
    one of `BACKDROPS`, the part is told from what lies behind it."""

    def __init__(
        self,
        images_dir: Path | None,
        masks_dir: Path | None,
        procedural_hw: tuple[int, int],
        backdrop: str = PLAIN_BACKDROP,
    ) -> None:
        self.images_dir = images_dir
        self.masks_dir = masks_dir
        self._procedural_hw = procedural_hw
        self._backdrop = backdrop
        self.names = _usable_names(images_dir) if images_dir else []
        self.mask_names = self._paired_masks() if masks_dir else None
        self.load: Callable[[str], Source] = functools.lru_cache(maxsize=KEPT_DECODED)(self._load)
        self.sha256: Callable[[str], str | None] = functools.cache(self._sha256)

    def mask(self, name: str, image_hw: tuple[int, int]) -> NDArray[np.uint8]:
        """The mask file `name`, checked against its image's size.

        Raises:
            DataError: unreadable, another size, empty or full.
        """
        assert self.masks_dir is not None
        return check_mask(name, imaging.load_mask(self.masks_dir / name), image_hw)

    def check_masks(self, image_names: Iterable[str]) -> None:
        """Read the masks of `image_names` before anything is written.

        Raises:
            DataError: the first mask that cannot be used, and how many more there are.
        """
        if self.mask_names is None:
            return
        problems = []
        for name in sorted(set(image_names)):
            size_hw = self._size_hw(name)
            if size_hw is None:  # an image that is damaged fails its own requests, not the run
                continue
            try:
                self.mask(self.mask_names[name], size_hw)
            except DataError as error:
                problems.append(str(error))
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise DataError(problems[0] + more)

    def fingerprint(self, image_names: Iterable[str]) -> str:
        """SHA-256 over the names and byte sizes of all images, and over name and content of the
        masks of `image_names`. The images' content is in `sha256`, of each when it is used: they
        may be thousands of large files.

        Raises:
            DataError: a file is gone or cannot be read.
        """
        digest = hashlib.sha256()
        try:
            if self.images_dir is not None:
                for name in self.names:
                    size = (self.images_dir / name).stat().st_size
                    digest.update(f"image\0{name}\0{size}\0".encode())
            if self.masks_dir is not None and self.mask_names is not None:
                for name in sorted({self.mask_names[image] for image in image_names}):
                    content = files.sha256_of_file(self.masks_dir / name)
                    digest.update(f"mask\0{name}\0{content}\0".encode())
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
        return digest.hexdigest()

    def require_unchanged(self, sha256_by_name: Mapping[str, str | None]) -> None:
        """Refuse images whose content is not that from which samples were made.

        Raises:
            DataError: the first that changed.
        """
        for name, before in sorted(sha256_by_name.items()):
            if self.sha256(name) != before:
                raise DataError(
                    f"{self.images_dir}/{name} changed since samples were made from it; put the "
                    "old file back, or choose another output folder"
                )

    def estimated_bytes(self, image_names: Iterable[str]) -> int:
        """About what the images and masks made from `image_names` will take on disk."""
        total, sizes = 0.0, dict[str, float]()
        for name in image_names:
            if name not in sizes:
                sizes[name] = self._estimated_png(name)
            total += sizes[name]
        return round(total)

    def _load(self, name: str) -> Source:
        if name.startswith(PROCEDURAL):
            image = render_surface(int(name.removeprefix(PROCEDURAL)), *self._procedural_hw)
            return Source(image, part_mask(image, self._backdrop))
        assert self.images_dir is not None
        image = imaging.load_image(self.images_dir / name)
        return Source(image, part_mask(image, self._backdrop))

    def _sha256(self, name: str) -> str | None:
        """Of the image's file; None for a drawn surface, and where there is no reading it."""
        if name.startswith(PROCEDURAL):
            return None
        assert self.images_dir is not None
        try:
            return files.sha256_of_file(self.images_dir / name)
        except OSError:
            return None

    def _paired_masks(self) -> dict[str, str]:
        """Image name → mask name: equal stems, or the mask's with "_mask" behind it."""
        assert self.masks_dir is not None
        by_stem: dict[str, list[str]] = {}
        for path in imaging.list_images(self.masks_dir):
            by_stem.setdefault(path.stem.removesuffix(MASK_SUFFIX), []).append(path.name)
        for stem, names in by_stem.items():
            if len(names) > 1:
                raise DataError(
                    f"{self.masks_dir}: ambiguous masks for {stem}: {', '.join(names)}; keep one"
                )
        stems = [Path(name).stem for name in self.names]
        if len(set(stems)) < len(stems):
            twice = sorted({stem for stem in stems if stems.count(stem) > 1})
            raise DataError(
                f"{self.images_dir}: several images are called {twice[0]}, so their mask is "
                "ambiguous; rename them"
            )
        missing = [n for n, stem in zip(self.names, stems, strict=True) if stem not in by_stem]
        if missing:
            shown = ", ".join(missing[:SHOWN_NAMES]) + (" …" if len(missing) > SHOWN_NAMES else "")
            raise DataError(
                f"{self.masks_dir} has no mask for {len(missing)} of {len(self.names)} images: "
                f"{shown}; each image needs a mask of its name, or leave --masks out"
            )
        return {name: by_stem[stem][0] for name, stem in zip(self.names, stems, strict=True)}

    def _size_hw(self, name: str) -> tuple[int, int] | None:
        """The size of an upright image, from its header; None where that cannot be read."""
        assert self.images_dir is not None
        path = self.images_dir / name
        try:
            with _header(path) as image:
                # The base class's: PNG's own decodes everything, in case EXIF stands at the end.
                orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
                if orientation == 1:
                    return image.height, image.width
            height, width, _ = imaging.load_image(path).shape  # some formats turn their header too
            return height, width
        except Exception:  # Pillow raises a dozen kinds for damaged bytes
            return None

    def _estimated_png(self, name: str) -> float:
        if name.startswith(PROCEDURAL):
            height, width = self._procedural_hw
            return height * width * BYTES_PER_PIXEL * 3
        assert self.images_dir is not None
        try:
            with _header(self.images_dir / name) as image:
                channels = 1 if image.mode in ("L", "1", "I;16") else 3
                return image.width * image.height * BYTES_PER_PIXEL * channels
        except Exception:  # as above; a plan does not end with the first damaged image
            return 0.0


@contextlib.contextmanager
def _header(path: Path) -> Iterator[Image.Image]:
    """The image with its header read and nothing else; Pillow's warnings come with the decoding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            yield image


def _usable_names(folder: Path) -> list[str]:
    """The names of the images in `folder`, which samples.jsonl and labels must be able to hold.

    Raises:
        DataError: no images, or a name that is no text or reads as that of a drawn surface.
    """
    names = [path.name for path in imaging.list_images(folder)]
    for name in names:
        if not files.is_text(name):
            raise DataError(
                f"{folder}: the file name {name!r} is not valid UTF-8, so no label can hold it; "
                "rename the file"
            )
        if name.startswith(PROCEDURAL):
            raise DataError(
                f"{folder}: the file name {name!r} begins with {PROCEDURAL!r}, as only drawn "
                "surfaces are called; rename the file"
            )
    return names
