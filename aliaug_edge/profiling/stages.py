"""One pass from the image file to the finished files, each stage timed.

read → preprocess → encode → U-Net → decode (the three graphs one by one) → generator (the same
model fused, from array to array) → blend → write. "end to end" = read, preprocess, generator,
blend, write: a crop's way through `generate`, which beside that finds the part in the photo, places
the mask, scores the result and outlines its labels. On TensorRT `generate` goes another way, in
uint8 and blended on the device: `gpu_paste` times that.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops, files, imaging
from aliaug_edge.bundle import Bundle
from aliaug_edge.data.procedural import defect_shape, render_surface
from aliaug_edge.engines import Engine, open_engine
from aliaug_edge.engines.jobs import PasteJob
from aliaug_edge.generation.blend import blend
from aliaug_edge.generation.feeds import bundle_feeds
from aliaug_edge.profiling.gpu_profile import is_tensorrt
from aliaug_edge.profiling.wiring import encode, encoder_passes, run_graph
from aliaug_edge.tensors import Arrays, require_finite

GENERATOR, END_TO_END = "generator", "end_to_end"
STAGED = ("encoder", "unet", "decoder")
STAGED_STAGES = ("encode", "unet", "decode")
FUSED = ("read", "preprocess", GENERATOR, "blend", "write")
STAGES = ("read", "preprocess", "encode", "unet", "decode", GENERATOR, "blend", "write")
PIXELS = ("image", "mask")
Times = dict[str, float]


class Bench:
    """An engine's graphs, opened at one size and batch 1, and real files to work on.

    `staged` says whether the bundle has the three graphs beside the fused one; `engines` holds the
    open ones by graph.
    """

    def __init__(
        self, bundle: Bundle, engine: str, threads: int, size_hw: tuple[int, int], folder: Path
    ) -> None:
        self.bundle = bundle
        self.size_hw = size_hw
        self.threads = threads
        self.staged = all(graph in bundle.graphs for graph in STAGED)
        self._engine = engine
        self._stack = contextlib.ExitStack()
        self._folder = folder
        self._mask = write_scene(folder, size_hw)
        self._written = (folder / "generated.png", folder / "generated_mask.png")
        self.engines: dict[str, Engine] = {}

    def __enter__(self) -> Bench:
        self._enter("generator")
        if is_tensorrt(self.engines["generator"]):
            self.staged = False  # its stages are timed on the device, in one set of weights
        for graph in STAGED if self.staged else ():
            self._enter(graph)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def engine_name(self) -> str:
        return self.engines["generator"].name

    @property
    def offered_anywhere(self) -> bool:
        """Whether every batch can be run, or only those that engines were built for."""
        return not is_tensorrt(self.engines["generator"])

    @property
    def on_cpu(self) -> bool:
        return self.engine_name.endswith("-cpu")

    @property
    def encoder_passes(self) -> int:
        """How often the encoder runs per image."""
        return encoder_passes(self.engines) if self.staged else 1

    def run_once(self) -> Times:
        """One pass; {stage: ms}, with the end-to-end time.

        Raises:
            AliAugError: the engine fails or gives values that are not finite.
        """
        times: Times = {}
        with _timed(times, "read"):
            image = imaging.load_image(self._folder / "good.png")
        with _timed(times, "preprocess"):
            window = crops.window_around(crops.mask_box(self._mask), self.size_hw, self.size_hw)
            shown = crops.resize(crops.cut(image, window), self.size_hw)
            mask = crops.resize_mask(crops.cut(self._mask, window), self.size_hw)
            feeds = scene_feeds(self.bundle, shown, mask, batch=1)
        if self.staged:
            self._run_staged(feeds, times)
        with _timed(times, GENERATOR):
            raw = self._generate(feeds)
        with _timed(times, "blend"):
            patch = blend(crops.cut(image, window), mask, shown, raw, mode="feather")
            crops.put(image, window, patch)
        with _timed(times, "write"):
            self._write(image)
        for path in self._written:  # a rename over a file waits for the disk, a new name does not
            path.unlink()
        times[END_TO_END] = sum(times[stage] for stage in FUSED)
        return times

    @contextlib.contextmanager
    def batches(self, batch: int) -> Iterator[Callable[[], Times]]:
        """A step that runs the fused generator at `batch` and gives {`GENERATOR`: ms}.

        The engine is open before the first step, so none of them counts that.
        """
        with self.open("generator", batch) as engine:
            wanted = self.feeds(batch)

            def step() -> Times:
                times: Times = {}
                with _timed(times, GENERATOR):
                    engine.infer(wanted)
                return times

            yield step

    def feeds(self, batch: int) -> Arrays:
        """The generator's inputs for `batch` times the whole scene."""
        image = imaging.load_image(self._folder / "good.png")
        known = scene_feeds(self.bundle, image, self._mask, batch=batch)
        return {spec.name: known[spec.name] for spec in self.engines["generator"].inputs}

    def paste_jobs(self) -> list[PasteJob]:
        """The whole scene and its mirror image, as `generate` hands a crop to the device."""
        known = self.feeds(1)
        conditions = {name: value[0] for name, value in known.items() if name not in PIXELS}
        image = imaging.load_image(self._folder / "good.png")
        window = crops.Window(0, 0, *self.size_hw)
        photos = (image, np.ascontiguousarray(image[:, ::-1]))
        return [PasteJob(photo, self._mask, window, conditions) for photo in photos]

    def open(self, graph: str, batch: int) -> Engine:
        """The engine of `graph` at the bench's size, to be entered."""
        return open_engine(
            self.bundle,
            graph,
            engine=self._engine,
            size_hw=self.size_hw,
            batch=batch,
            threads=self.threads,
        )

    def _enter(self, graph: str) -> None:
        self.engines[graph] = self._stack.enter_context(self.open(graph, 1))
        self._engine = self.engines[graph].name  # auto decides once, for all graphs

    def _run_staged(self, feeds: Arrays, times: Times) -> None:
        with _timed(times, "encode"):
            known = encode(self.engines, feeds)
        with _timed(times, "unet"):
            known = run_graph(self.engines, "unet", known)
        with _timed(times, "decode"):
            run_graph(self.engines, "decoder", known)

    def _write(self, image: NDArray[np.uint8]) -> None:
        for path, array in zip(self._written, (image, self._mask), strict=True):
            files.write_bytes(path, imaging.encode_png(array, synthetic=True))

    def _generate(self, feeds: Arrays) -> NDArray[np.float32]:
        generated = run_graph(self.engines, "generator", feeds)["generated"]
        require_finite(f"bundle {self.bundle.name}", {"generated": generated})
        raw: NDArray[np.float32] = generated[0].astype(np.float32).transpose(1, 2, 0)
        return raw


def prompt_lookup_ms(bundle: Bundle, times: int = 1000) -> float:
    """What a class's prompt costs where it is cached, as it is in every bundle: a look into it."""
    names = [bundle.class_names[0]]
    started = time.perf_counter()
    for _ in range(times):
        np.stack([bundle.prompts[name] for name in names])
    return round((time.perf_counter() - started) * 1000 / times, 5)


def write_scene(folder: Path, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Write `folder`/good.png, a drawn surface of `size_hw`, and return a mask (H, W) for it."""
    surface = render_surface(7, *size_hw)
    files.write_bytes(folder / "good.png", imaging.encode_png(surface))
    centre = (size_hw[0] / 2, size_hw[1] / 2)
    shape = defect_shape(np.random.default_rng(7), *size_hw, "stain", 0.05, centre)
    return np.where(shape, 255, 0).astype(np.uint8)


def scene_feeds(
    bundle: Bundle, shown: NDArray[np.uint8], mask: NDArray[np.uint8], batch: int
) -> Arrays:
    """The generator's inputs for `batch` times the crop `shown` (h, w, 3) and `mask` (h, w)."""
    images, masks = np.repeat(shown[None], batch, axis=0), np.repeat(mask[None], batch, axis=0)
    first = bundle.class_names[0]
    return bundle_feeds(bundle, images, masks, [first] * batch, [7] * batch, [1.0] * batch)


@contextlib.contextmanager
def _timed(times: Times, stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    times[stage] = (time.perf_counter() - started) * 1000
