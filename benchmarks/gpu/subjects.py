"""What is measured: bundles with the torch model that they came from, and their engines built."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aliaug_edge.assets import resolve_bundle
from aliaug_edge.bundle import Bundle, load_bundle

from .settings import Settings

# Heavy ones, the parts' own on top of them last.
LIBRARIES = (
    "onnxruntime",
    "torch",
    "torch._dynamo",
    "onnxscript",
    "transformers.models.clip.modeling_clip",
    "aliaug_edge.model.base",
    "benchmarks.gpu.models",
)


@dataclass(frozen=True)
class Subject:
    """A bundle; `generator` is its torch model in FP32, None where torch cannot be imported."""

    name: str
    bundle: Bundle
    generator: Any | None


def load_libraries() -> None:
    """Import what the parts use, as far as it is installed, so that no part pays for it."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def shipped(settings: Settings) -> Bundle:
    """The tiny bundle, as a copy: engines are built beside it."""
    folder = settings.work / "tiny"
    if not folder.is_dir():
        shutil.copytree(resolve_bundle("tiny"), folder)
    return load_bundle(folder)


def tiny(settings: Settings) -> Subject:
    """The shipped bundle (FP32) with the base that it was exported from."""
    bundle = shipped(settings)
    try:
        from aliaug_edge.model.base import generator_from, load_base
    except (ImportError, RuntimeError):  # diffusers makes the second of the first
        return Subject("tiny", bundle, None)
    generator = generator_from(load_base("tiny"), bundle.conditioning).eval()  # type: ignore[arg-type]
    return Subject("tiny", bundle, generator.to(settings.device).requires_grad_(False))


def turbo(settings: Settings) -> Subject:
    """SD-Turbo's geometry with random weights, as an FP16 bundle made on the spot."""
    from . import models

    generator = models.turbo(settings)
    name = "small-fp16" if settings.cpu else "sd-turbo-fp16"
    folder = models.write_bundle(generator, settings.work / name, settings)
    return Subject(name, load_bundle(folder), generator)


def build_command(settings: Settings, bundle: Bundle, side: int, batch: int) -> list[str]:
    """What makes TensorRT engines: `ali-aug build`, a process that can be stopped."""
    asked = build_arguments(settings, bundle, [side], batch)
    return [sys.executable, "-m", "aliaug_edge", "build", *asked]


def build_arguments(
    settings: Settings, bundle: Bundle, sides: Sequence[int], batch: int
) -> list[str]:
    """What follows `ali-aug build`. No parity: its reference on the CPU would take minutes, and
    `correctness` compares the whole with torch."""
    sizes = ",".join(map(str, sides))
    asked = [str(bundle.root), "--sizes", sizes, "--batches", str(batch)]
    return [*asked, "--level", str(settings.level), "--no-parity", "--quiet"]
