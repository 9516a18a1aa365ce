"""Checkpoints that survive a kill at any byte: written beside, renamed into place, one at a time.

What is random in training depends on (seed, step) alone, so weights, optimizers and the step number
are all there is to save, and a resumed run follows the same loss curve.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from aliaug_edge import files
from aliaug_edge.errors import AliAugError

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint of a run in one step. `state` holds tensors and plain data."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    files.write_bytes(folder / CHECKPOINT, buffer.getvalue())


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint of a run, or None where there is none yet.

    Raises:
        AliAugError: the file is there and cannot be read.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        raise AliAugError(
            f"{path} cannot be read ({type(error).__name__}); remove it to start this run again"
        ) from error
    return state
