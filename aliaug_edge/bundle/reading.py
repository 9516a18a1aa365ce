"""Reading a bundle: nothing in it is opened before its hash has been checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import appearances as looks
from aliaug_edge import files
from aliaug_edge.bundle.contract import (
    MANIFEST,
    PROMPTS,
    SCHEMA_VERSION,
    Bundle,
    ClassSpec,
    GraphSpec,
    as_exported,
)
from aliaug_edge.bundle.manifest import PLAIN_BACKDROP, check_manifest
from aliaug_edge.errors import BundleError
from aliaug_edge.onnx_weights import weight_locations
from aliaug_edge.rules import read_document, shown
from aliaug_edge.tensors import TensorSpec


def load_bundle(root: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: no bundle there, damaged, of a newer schema, or with paths that leave it.
    """
    try:
        document = _read_manifest(root)
        _verify_files(root, document["files"])
        return _bundle_from(root, document, files.sha256_of_file(root / MANIFEST))
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself, before Python 3.13
        raise BundleError(f"{root} cannot be read: {error}") from error


def _read_manifest(root: Path) -> dict[str, Any]:
    """bundle.json, every value of which is possible."""
    path = root / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"{root} is not a bundle: it has no {MANIFEST}; give a folder that `ali-aug export` "
            "wrote, or the word `tiny` for the shipped one"
        )
    try:
        document = read_document(path.read_bytes())
        version = document.get("schema_version")
        if version == SCHEMA_VERSION:
            check_manifest(document)
    except ValueError as error:
        raise BundleError(
            f"{path} is damaged ({error}); copy the bundle again or export it again"
        ) from error
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{path}: schema version {shown(version)}, this release reads {SCHEMA_VERSION}; "
            "install a newer aliaug-edge or export the bundle again"
        )
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


def _bundle_from(root: Path, document: Mapping[str, Any], sha256: str) -> Bundle:
    listed = document["files"]
    graphs = {name: _graph_from(entry) for name, entry in document["graphs"].items()}
    for needed in [graph.path for graph in graphs.values()] + [PROMPTS]:
        if needed not in listed:  # a file that the manifest does not vouch for is never opened
            _inside(root, needed)
            raise BundleError(
                f"{root}: {needed} is used but not listed in {MANIFEST}; export the bundle again"
            )
    for graph in graphs.values():
        _verify_weights(root, graph.path, listed)
    classes = tuple(
        ClassSpec(entry["name"], entry["prompt"], tuple(entry["colour"]))
        for entry in document["classes"]
    )
    return Bundle(
        root=root,
        sha256=sha256,
        name=document["name"],
        conditioning=document["conditioning"],
        label_carrier=document["label_carrier"],
        precision=document["precision"],
        classes=classes,
        sizes=tuple((height, width) for height, width in document["sizes"]),
        latent_channels=document["latent"]["channels"],
        latent_factor=document["latent"]["factor"],
        preprocessing=document["preprocessing"],
        graphs=graphs,
        files=listed,
        parity=document["parity"],
        provenance=document["provenance"],
        prompts=_load_prompts(root / PROMPTS, classes),
        appearances=_load_appearances(root, listed, [spec.name for spec in classes]),
        backdrop=document.get("backdrop", PLAIN_BACKDROP),
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
    path = root / looks.FILE
    with as_exported(path):
        return looks.from_text(path.read_text(encoding="utf-8"), classes)


def _load_prompts(path: Path, classes: tuple[ClassSpec, ...]) -> dict[str, NDArray[np.float32]]:
    with (
        as_exported(path),
        path.open("rb") as stream,
        np.load(stream, allow_pickle=False) as arrays,
    ):
        stacked = arrays["embeds"]  # (classes, 77, D) float32, in the order of `classes`
        if stacked.dtype != np.float32 or stacked.ndim != 3 or len(stacked) != len(classes):
            raise ValueError(
                f"expected float32 embeddings of {len(classes)} classes, got {stacked.dtype} of "
                f"shape {list(stacked.shape)}"
            )
        if not np.isfinite(stacked).all():
            raise ValueError("embeddings hold non-finite numbers")
    return {spec.name: stacked[index] for index, spec in enumerate(classes)}
