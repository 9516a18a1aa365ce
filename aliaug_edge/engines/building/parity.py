"""Proof of a plan: its outputs against those of the ONNX graph it was built from, on photos or,
without any, on drawn surfaces.

The reference is ONNX Runtime on the CPU, stage by stage, each plan fed with the reference's tensors
so that an error shows where it arises.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.building.jobs import Case, Target
from aliaug_edge.engines.building.process import Tell, ask
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.engines.plan import EngineError
from aliaug_edge.engines.shapes import bind_specs, free_dimensions
from aliaug_edge.engines.store import FUSED
from aliaug_edge.errors import AliAugError
from aliaug_edge.tensors import Arrays, require_finite

# Of a tensor's own range. FP16 keeps 11 bits of each number; kernels that add in another order
# lose a few of them over some hundred layers, where wrong precision or a wrong layer loses all.
MIN_PSNR_DB = {"fp32": 60.0, "fp16": 40.0}
DRAWN, PHOTOS = "a drawn surface", "a photo of --images"
PSNR_CAP_DB = 150.0  # of tensors that are equal to the last bit

Feeds = Callable[[tuple[int, int], int], Arrays]  # the generator's inputs at a size and batch


class Reference:
    """Tensors of the ONNX graphs, computed when first asked for and kept. `kind` is what `feeds`
    are made of, in the words of an error."""

    def __init__(self, bundle: Bundle, feeds: Feeds, kind: str = DRAWN) -> None:
        self._bundle = bundle
        self.kind = kind
        self._feeds = feeds
        self._tensors: dict[Case, Arrays] = {}

    def tensors(self, graph: str, case: Case) -> Arrays:
        """Inputs and outputs of `graph` at a size and batch, by name.

        Raises:
            EngineError: the ONNX graph itself gives non-finite values.
        """
        known = self._tensors.setdefault(case, {**self._feeds(*case)})
        spec = self._bundle.graphs[graph]
        if graph == FUSED:
            inputs = {tensor.name: known[tensor.name] for tensor in spec.inputs}
            return {**inputs, **self._run(graph, case, inputs)}
        self._need(graph, case, known)
        return {tensor.name: known[tensor.name] for tensor in (*spec.inputs, *spec.outputs)}

    def _need(self, graph: str, case: Case, known: Arrays) -> None:
        """Run `graph` and what comes before it, as far as that was not done."""
        spec = self._bundle.graphs[graph]
        for tensor in spec.inputs:
            if tensor.name not in known:
                self._make(tensor.name, case, known)
        if any(tensor.name not in known for tensor in spec.outputs):
            known |= self._run(graph, case, {t.name: known[t.name] for t in spec.inputs})

    def _make(self, name: str, case: Case, known: Arrays) -> None:
        encoder = self._bundle.graphs["encoder"]
        if name in {f"mask_{tensor.name}" for tensor in encoder.outputs}:
            painted = known["mask"] * known["colour"][:, :, None, None]
            made = self._run("encoder", case, {"image": painted})
            known |= {f"mask_{key}": value for key, value in made.items()}
            return
        for graph in ("encoder", "unet"):
            if name in {tensor.name for tensor in self._bundle.graphs[graph].outputs}:
                self._need(graph, case, known)
                return
        raise EngineError(f"nothing in this bundle makes {name}; export it again")

    def _run(self, graph: str, case: Case, inputs: Arrays) -> Arrays:
        spec = self._bundle.graphs[graph]
        path = self._bundle.graph_path(graph)
        size_hw, batch = case
        with OnnxRuntimeEngine(path, spec, provider="cpu", size_hw=size_hw, batch=batch) as engine:
            outputs = _interruptible(lambda: engine.infer(inputs), engine.abort)
        _require_finite(f"ONNX graph {graph}", outputs, self.kind)
        return outputs


def prove(
    toolchain: str,
    bundle: Bundle,
    target: Target,
    plan: Path,
    reference: Reference,
    min_psnr_db: float,
    tell: Tell,
) -> dict[str, Any]:
    """The header's parity entry of a plan that was just built: worst values and the cases.

    Tensors go through files beside `plan`: a stage's are hundreds of MiB at 512², more than what a
    Jetson has in /tmp.

    Raises:
        EngineError: a case is out of tolerance or not finite.
    """
    rows = []
    for case in target.cases:
        tensors = reference.tensors(target.graph, case)
        outputs = _outputs(toolchain, bundle, target, plan, case, tensors, tell)
        _require_finite(f"engine {target.name}", outputs, reference.kind)
        rows.append(_row(case, tensors, outputs))
    worst = {
        "psnr_db": min(row["psnr_db"] for row in rows),
        "max_abs": max(row["max_abs"] for row in rows),
    }
    if worst["psnr_db"] < min_psnr_db:
        raise EngineError(
            f"engine {target.name} is out of tolerance: {worst['psnr_db']:.1f} dB against its ONNX "
            f"graph (largest difference {worst['max_abs']:.3g}), expected at least "
            f"{min_psnr_db:.0f} dB; it was not kept. Export with --precision fp32, or accept less "
            "with --min-psnr"
        )
    return {**worst, "min_psnr_db": min_psnr_db, "cases": rows}


def _outputs(
    toolchain: str,
    bundle: Bundle,
    target: Target,
    plan: Path,
    case: Case,
    tensors: Arrays,
    tell: Tell,
) -> Arrays:
    spec = bundle.graphs[target.graph]
    dimensions = free_dimensions(*case)
    source, made = plan.parent / "feeds.npz", plan.parent / "made.npz"
    np.savez(source, **{t.name: tensors[t.name] for t in spec.inputs})  # type: ignore[arg-type]
    request = {
        "do": "try",
        "graph": target.graph,
        "plan": str(plan),
        "inputs": [dataclasses.asdict(t) for t in bind_specs(spec.inputs, dimensions)],
        "outputs": [dataclasses.asdict(t) for t in bind_specs(spec.outputs, dimensions)],
        "cases": [[str(source), str(made)]],
    }
    hint = "close other programs, or lower --batches or --sizes"
    ask(toolchain, request, f"engine {target.name}", hint, tell)
    with np.load(made, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _row(case: Case, tensors: Arrays, outputs: Arrays) -> dict[str, Any]:
    (height, width), batch = case
    by_tensor = {name: _difference(tensors[name], value) for name, value in outputs.items()}
    return {
        "size": [height, width],
        "batch": batch,
        "psnr_db": min(psnr for psnr, _ in by_tensor.values()),
        "max_abs": max(largest for _, largest in by_tensor.values()),
    }


def _difference(ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[float, float]:
    """PSNR in dB, relative to the range of `ours`, and the largest absolute difference."""
    if ours.shape != theirs.shape:
        raise EngineError(f"an engine gave shape {theirs.shape} where its graph gives {ours.shape}")
    error = theirs.astype(np.float64) - ours
    peak = float(ours.max()) - float(ours.min()) or 1.0
    mse = float(np.mean(error**2))
    psnr = PSNR_CAP_DB if mse <= 0 else min(PSNR_CAP_DB, 10 * float(np.log10(peak**2 / mse)))
    return round(psnr, 2), float(f"{np.abs(error).max():.3e}")


def _interruptible(work: Callable[[], Arrays], abort: Callable[[], None]) -> Arrays:
    """What `work` gives or raises, in a thread of its own: ONNX Runtime holds whoever calls it
    until it is done, minutes at SD-Turbo's size, and Ctrl-C is heard by the main thread alone.
    `abort` then ends the work, since the process cannot end under a run."""
    answer: Future[Arrays] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except Exception as error:  # told to whoever waits
            answer.set_exception(error)

    worker = threading.Thread(target=run)
    worker.start()
    try:
        return answer.result()
    except KeyboardInterrupt:
        abort()
        raise
    finally:
        worker.join()


def _require_finite(subject: str, tensors: Arrays, kind: str) -> None:
    try:
        require_finite(subject, tensors)
    except AliAugError as error:
        raise EngineError(
            f"{error} on {kind}; it was not kept. Export with --precision fp32"
        ) from error


def out_of_date(cases: Sequence[Case], parity: Any, min_psnr_db: float) -> bool:
    """Whether a header's parity does not cover these cases at this tolerance."""
    if parity is None:
        return True
    proven = {(tuple(row["size"]), row["batch"]) for row in parity["cases"]}
    return not set(cases) <= proven or parity["psnr_db"] < min_psnr_db
