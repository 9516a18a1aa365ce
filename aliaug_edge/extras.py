"""What the commands of the torch half need, and the lines that install it: `doctor` and the
commands themselves say the same."""

from __future__ import annotations

import platform
import sys
from collections.abc import Collection

TRAIN = ("torch", "diffusers", "peft", "transformers", "accelerate", "safetensors", "tensorboard")
EXPORT = (*TRAIN, "onnx", "onnxscript", "onnxruntime")
TRAIN_EXTRAS = "train"
EXPORT_EXTRAS = "train,export,cpu"
TORCH_PYTHON = (3, 11)
CLONE_HINT = "in a clone of the repository write . for aliaug-edge, as in pip install '.[cpu]'"


def install_line(extras: str, missing: Collection[str]) -> str:
    """The pip command for `extras` (by comma), empty where nothing is `missing`.

    An engine is asked for only where ONNX Runtime itself is missing: its GPU wheel serves as well,
    and the two overwrite each other.
    """
    wanted = [e for e in extras.split(",") if e != "cpu" or "onnxruntime" in missing]
    return f"pip install 'aliaug-edge[{','.join(wanted)}]'" if missing else ""


def python_fault() -> str:
    """Why the extras of the torch half install nothing under this Python; empty where they do."""
    if sys.version_info[:2] >= TORCH_PYTHON:
        return ""
    wanted = ".".join(map(str, TORCH_PYTHON))
    return (
        f"the extras train and export need Python {wanted} or newer, this is "
        f"{platform.python_version()}: install there what trains and exports; bundles run here"
    )
