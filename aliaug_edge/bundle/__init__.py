"""The bundle: the one contract between the torch half, which writes it, and the edge half.

A bundle is a folder: `bundle.json`, `onnx/*.onnx` with their weights in `onnx/weights.bin`,
`prompts.npz` (an embedding per class), `masks.npz` (the shapes of the training masks, for
placement), `quality.json` (what real defects allow), `appearances.json` (what they look like),
`training_photos.npz` (what tells a copy of a training photo), later `engines/<device key>/`.
Every file that `bundle.json` lists carries its SHA-256, checked on load. There is no pickle
anywhere, and a path that leaves the folder is refused.
"""

from aliaug_edge.bundle.contract import (
    MANIFEST,
    MASKS,
    PROMPTS,
    QUALITY,
    SCHEMA_VERSION,
    WHITE,
    Bundle,
    ClassSpec,
    GraphSpec,
)
from aliaug_edge.bundle.manifest import BACKDROPS, PLAIN_BACKDROP
from aliaug_edge.bundle.reading import load_bundle
from aliaug_edge.bundle.writing import save_manifest, spec_document

__all__ = [
    "BACKDROPS",
    "MANIFEST",
    "MASKS",
    "PLAIN_BACKDROP",
    "PROMPTS",
    "QUALITY",
    "SCHEMA_VERSION",
    "WHITE",
    "Bundle",
    "ClassSpec",
    "GraphSpec",
    "load_bundle",
    "save_manifest",
    "spec_document",
]
