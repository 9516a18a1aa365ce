"""The bundle: the one contract between the torch half, which writes it, and the edge half.

A bundle is a folder: `bundle.json`, `onnx/*.onnx`, `prompts.npz` (an embedding per class),
`masks.npz` (the shapes of the training masks, for placement), `quality.json` (what real defects
allow), `appearances.json` (what they look like), later `engines/<device key>/`.
Every file that `bundle.json` lists carries its SHA-256, checked on load. There is no pickle
anywhere, and a path that leaves the folder is refused.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import appearances as looks
from aliaug_edge import files, fingerprints
from aliaug_edge.errors import BundleError
from aliaug_edge.mask_bank import Bank, unpack
from aliaug_edge.onnx_weights import weight_locations
from aliaug_edge.quality import limits
from aliaug_edge.tensors import TensorSpec

SCHEMA_VERSION = 1
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
            raise BundleError(f"{self.root} has no graph {graph!r}; it has {sorted(self.graphs)}")
        return self.root / self.graphs[graph].path

    def mask_bank(self) -> Bank:
        """Training mask shapes per class.

        A bundle without `masks.npz` gives an empty bank.

        Raises:
            BundleError: `masks.npz` is not what the exporter writes.
        """
        if MASKS not in self.files:
            return unpack({}, self.class_names)
        try:
            with (
                (self.root / MASKS).open("rb") as stream,
                np.load(stream, allow_pickle=False) as arrays,
            ):
                return unpack({key: arrays[key] for key in arrays.files}, self.class_names)
        except (OSError, LookupError, ValueError, zipfile.BadZipFile) as error:
            raise BundleError(
                f"{self.root / MASKS} cannot be read ({error}); export the bundle again"
            ) from error

    def training_photos(self) -> fingerprints.TrainingPhotos | None:
        """Fingerprints of the photos that the bundle learned from; None where it does not say,
        because it is a base as it is, or older than this record.

        Raises:
            BundleError: the record is not what the exporter writes.
        """
        if fingerprints.FILE not in self.files:
            return None
        path = self.root / fingerprints.FILE
        try:
            return fingerprints.from_bytes(path.read_bytes())
        except (OSError, ValueError) as error:
            raise BundleError(
                f"{path} cannot be read ({error}); export the bundle again"
            ) from error

    def quality(self) -> limits.Limits | None:
        """The limits that real defects allow; None where the bundle has no `quality.json`.

        Raises:
            BundleError: it is not what the exporter writes.
        """
        if QUALITY not in self.files:
            return None
        try:
            text = (self.root / QUALITY).read_text(encoding="utf-8")
            return limits.from_document(json.loads(text))
        except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(
                f"{self.root / QUALITY} cannot be read ({error}); export the bundle again"
            ) from error


def load_bundle(root: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: no bundle there, damaged, of a newer schema, or with paths that leave it.
    """
    manifest_path = root / MANIFEST
    document = _read_manifest(root, manifest_path)
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{manifest_path}: schema version {version!r}, this release reads {SCHEMA_VERSION}; "
            "install a newer aliaug-edge or export the bundle again"
        )
    try:
        listed = {str(k): dict(v) for k, v in document["files"].items()}
        _verify_files(root, listed)
        return _bundle_from(root, document, listed, files.sha256_of_file(manifest_path))
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself, before Python 3.13
        raise BundleError(f"{root} cannot be read: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise BundleError(
            f"{manifest_path}: not a valid manifest ({type(error).__name__}: {error}); "
            "export the bundle again"
        ) from error


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


def _read_manifest(root: Path, manifest_path: Path) -> dict[str, Any]:
    if not manifest_path.is_file():
        raise BundleError(
            f"{root} is not a bundle: it has no {MANIFEST}; give a folder that `ali-aug export` "
            "wrote, or the word `tiny` for the shipped one"
        )
    try:
        document = json.loads(manifest_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{manifest_path} cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{manifest_path}: expected a JSON object")
    return document


def _verify_files(root: Path, listed: Mapping[str, Mapping[str, Any]]) -> None:
    for name, facts in listed.items():
        path = _inside(root, name)
        if not path.is_file():
            raise BundleError(f"{root}: {name} is missing; copy the bundle again, whole")
        actual = files.sha256_of_file(path)
        if actual != facts["sha256"]:
            raise BundleError(
                f"{root}: {name} is damaged: expected SHA-256 {facts['sha256']}, got {actual}; "
                "copy the bundle again or export it again"
            )


def _verify_weights(root: Path, graph: str, listed: Collection[str]) -> None:
    """Refuse a graph with weights in a file that the manifest does not vouch for."""
    for location in sorted(weight_locations(root / graph)):
        name = (PurePosixPath(graph).parent / location).as_posix()
        if name not in listed:
            _inside(root, name)
            raise BundleError(
                f"{root}: {graph} has weights in {name}, which is not listed in {MANIFEST}; "
                "export the bundle again"
            )


def _inside(root: Path, name: str) -> Path:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name:
        raise BundleError(f"{root}: path {name!r} leaves the bundle; refused")
    path = root / pure
    if not path.resolve().is_relative_to(root.resolve()):
        raise BundleError(f"{root}: path {name!r} is a link that leaves the bundle; refused")
    return path


def _bundle_from(
    root: Path, document: Mapping[str, Any], listed: Mapping[str, Mapping[str, Any]], sha256: str
) -> Bundle:
    graphs = {name: _graph_from(entry) for name, entry in document["graphs"].items()}
    for needed in [graph.path for graph in graphs.values()] + [PROMPTS]:
        if needed not in listed:  # a file that the manifest does not vouch for is never opened
            _inside(root, needed)
            raise BundleError(f"{root}: {needed} is used but not listed in {MANIFEST}")
    for graph in graphs.values():
        _verify_weights(root, graph.path, listed)
    classes = tuple(
        ClassSpec(c["name"], c["prompt"], tuple(float(x) for x in c["colour"]))  # type: ignore[arg-type]
        for c in document["classes"]
    )
    return Bundle(
        root=root,
        sha256=sha256,
        name=document["name"],
        conditioning=document["conditioning"],
        label_carrier=document["label_carrier"],
        precision=document["precision"],
        classes=classes,
        sizes=tuple((int(h), int(w)) for h, w in document["sizes"]),
        latent_channels=int(document["latent"]["channels"]),
        latent_factor=int(document["latent"]["factor"]),
        preprocessing=document["preprocessing"],
        graphs=graphs,
        files=listed,
        parity=document["parity"],
        provenance=document["provenance"],
        prompts=_load_prompts(root / PROMPTS, classes),
        appearances=_load_appearances(root, listed, [spec.name for spec in classes]),
    )


def _graph_from(entry: Mapping[str, Any]) -> GraphSpec:
    def specs(side: str) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(t["name"], t["dtype"], tuple(t["shape"])) for t in entry[side])

    return GraphSpec(entry["path"], specs("inputs"), specs("outputs"))


def _load_appearances(
    root: Path, listed: Collection[str], classes: Sequence[str]
) -> looks.Appearances:
    """No rows in a bundle that is older than this record."""
    if looks.FILE not in listed:
        return looks.none_of(classes)
    return looks.from_text((root / looks.FILE).read_text(encoding="utf-8"), classes)


def _load_prompts(path: Path, classes: tuple[ClassSpec, ...]) -> dict[str, NDArray[np.float32]]:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        stacked = arrays["embeds"]  # (classes, 77, D) float32, in the order of `classes`
    return {spec.name: stacked[index] for index, spec in enumerate(classes)}
