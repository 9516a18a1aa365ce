"""What a bundle holds, once it is loaded, and the names of its files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import appearances as looks
from aliaug_edge import fingerprints
from aliaug_edge.bundle.manifest import PLAIN_BACKDROP
from aliaug_edge.errors import BundleError
from aliaug_edge.mask_bank import Bank, unpack
from aliaug_edge.quality import limits
from aliaug_edge.tensors import TensorSpec

SCHEMA_VERSION = 2
MANIFEST = "bundle.json"
PROMPTS = "prompts.npz"
MASKS = "masks.npz"
QUALITY = "quality.json"
WHITE = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class ClassSpec:
    """A defect class: its name, the prompt whose embedding is stored, and its mask colour."""

    name: str
    prompt: str
    colour: tuple[float, float, float] = WHITE


@dataclass(frozen=True)
class GraphSpec:
    """An ONNX graph of the bundle, its path relative to the folder, and its tensors."""

    path: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Bundle:
    """A loaded, verified bundle.

    `sizes` are the (height, width) in pixels that parity was proven at; generation uses only these.
    `conditioning` is paper | full | light, `label_carrier` text | colour | both | none,
    `precision` fp32 | fp16.
    `backdrop` says by which of `BACKDROPS` the parts in its line's photos stand out.
    `sha256` is that of bundle.json, which vouches for every other file.
    """

    root: Path
    sha256: str
    name: str
    conditioning: str
    label_carrier: str
    precision: str
    classes: tuple[ClassSpec, ...]
    sizes: tuple[tuple[int, int], ...]
    latent_channels: int
    latent_factor: int
    preprocessing: Mapping[str, Any]
    graphs: Mapping[str, GraphSpec]
    files: Mapping[str, Mapping[str, Any]]
    parity: Mapping[str, Any]
    provenance: Mapping[str, Any]
    prompts: Mapping[str, NDArray[np.float32]] = field(repr=False)
    appearances: looks.Appearances = field(repr=False)
    backdrop: str = PLAIN_BACKDROP

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.classes)

    def class_spec(self, name: str) -> ClassSpec:
        """The class called `name`.

        Raises:
            BundleError: the bundle has no such class; the message lists those it has.
        """
        for spec in self.classes:
            if spec.name == name:
                return spec
        raise BundleError(
            f"unknown defect class {name!r}: this bundle offers {', '.join(self.class_names)}"
        )

    def require_carrier(self, label_carrier: str) -> None:
        """Refuse this bundle where its classes are not named by `label_carrier`.

        Raises:
            BundleError: they are named otherwise.
        """
        if label_carrier != self.label_carrier:
            raise BundleError(
                f"bundle {self.name} names its classes by {self.label_carrier}, asked for "
                f"{label_carrier!r}; export a run trained with `--label-carrier {label_carrier}`"
            )

    def graph_path(self, graph: str) -> Path:
        """Path of the ONNX file of `graph` (encoder, unet, decoder or generator)."""
        if graph not in self.graphs:
            there = ", ".join(sorted(self.graphs)) or "none"
            raise BundleError(
                f"{self.root} has no graph {graph!r}, only {there}; export the bundle again"
            )
        return self.root / self.graphs[graph].path

    def mask_bank(self) -> Bank:
        """Training mask shapes per class.

        A bundle without `masks.npz` gives an empty bank.

        Raises:
            BundleError: `masks.npz` is not what the exporter writes.
        """
        if MASKS not in self.files:
            return unpack({}, self.class_names)
        path = self.root / MASKS
        with (
            as_exported(path),
            path.open("rb") as stream,
            np.load(stream, allow_pickle=False) as arrays,
        ):
            return unpack({key: arrays[key] for key in arrays.files}, self.class_names)

    def training_photos(self) -> fingerprints.TrainingPhotos | None:
        """Fingerprints of the photos that the bundle learned from; None where it does not say,
        because it is a base as it is, or older than this record.

        Raises:
            BundleError: the record is not what the exporter writes.
        """
        if fingerprints.FILE not in self.files:
            return None
        path = self.root / fingerprints.FILE
        with as_exported(path):
            return fingerprints.from_bytes(path.read_bytes())

    def quality(self) -> limits.Limits | None:
        """The limits that real defects allow; None where the bundle has no `quality.json`.

        Raises:
            BundleError: it is not what the exporter writes.
        """
        if QUALITY not in self.files:
            return None
        path = self.root / QUALITY
        with as_exported(path):
            return limits.from_document(json.loads(path.read_text(encoding="utf-8")))


@contextlib.contextmanager
def as_exported(path: Path) -> Iterator[None]:
    """Reads `path` inside the block.

    Raises:
        BundleError: whatever goes wrong there.
    """
    try:
        yield
    except Exception as error:  # the readers of numpy and zip raise a dozen kinds for other bytes
        said = " ".join(str(error).split()) or type(error).__name__
        said = f"{said} is missing" if isinstance(error, KeyError) else said
        raise BundleError(f"{path} cannot be read ({said}); export the bundle again") from error
