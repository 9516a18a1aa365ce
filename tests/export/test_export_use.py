"""The bundle in use: generation without torch, the command line, and the other conditionings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from aliaug_edge import appearances, files
from aliaug_edge.bundle import Bundle, GraphSpec, load_bundle
from aliaug_edge.cli.train import export as export_command
from aliaug_edge.data.procedural import DEFECT_CLASSES
from aliaug_edge.export.fuse import write_fused
from aliaug_edge.export.onnx import export_stage
from aliaug_edge.export.sources import ExportSource, base_source
from aliaug_edge.export.stages import GRAPHS, STAGES, size_multiple, stage_of
from aliaug_edge.export.torch_engine import TorchEngine
from aliaug_edge.generation.feeds import bundle_feeds
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.model.base import base_sha256, generator_from, load_base
from aliaug_edge.model.conditioning import Conditioning
from aliaug_edge.model.generator import Generator
from tests.support.bases import micro_base, write_base
from tests.support.commands import run_command
from tests.support.gpu.full import INPUTS

TORCH_FREE = """
import sys
for name in ("torch", "diffusers", "peft", "transformers", "safetensors", "onnx", "onnxscript"):
    sys.modules[name] = None
from aliaug_edge.cli import main
main()
"""


def torch_free(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TORCH_FREE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("which", ["fp32", "fp16"])
def test_generation_without_torch_ends_with_labelled_images(
    which: str, request: pytest.FixtureRequest, run_dir: Path, tmp_path: Path
) -> None:
    bundle: Bundle = request.getfixturevalue(which)
    good, out = run_dir.parent / "parts" / "train" / "good", tmp_path / "out"
    lenient = ("--min-preservation", 0, "--min-change", 0, "--blend", "feather")
    done = torch_free("generate", bundle.root, "--images", good, "-o", out, "-n", 4, *lenient)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    assert len(records) == 4
    assert {r["defect_class"] for r in records} == {"crack", "stain"}
    assert {r["bundle_sha256"] for r in records} == {bundle.sha256}
    assert {r["precision"] for r in records} == {which}
    assert [r for r in records if r["status"] == "kept"]


def test_the_pipeline_s_pixels_are_torch_s(fp32: Bundle, source: ExportSource) -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(60, 200, (2, 64, 64, 3), dtype=np.uint8)
    masks = np.zeros((2, 64, 64), np.uint8)
    masks[:, 20:40, 10:50] = 255
    with Pipeline(fp32, "onnxruntime-cpu", threads=1) as pipeline:
        ours = pipeline.generate(crops, masks, ["crack", "stain"], [5, 6], [0.3, 0.9])
    feeds = bundle_feeds(fp32, crops, masks, ["crack", "stain"], [5, 6], [0.3, 0.9])
    with TorchEngine(stage_of(source.adapted, "generator")) as engine:
        theirs = engine.infer(feeds)["generated"].transpose(0, 2, 3, 1)
    assert np.abs(ours - theirs).max() < 1 / 255


@pytest.mark.parametrize(
    "conditioning", [pytest.param("paper", marks=pytest.mark.slow), "full"]
)  # full holds all that paper has
def test_the_other_conditionings_export_with_the_inputs_that_they_read(
    conditioning: Conditioning, tmp_path: Path
) -> None:
    generator = stirred(conditioning)
    (tmp_path / "onnx").mkdir()
    specs = {
        name: export_stage(
            stage_of(generator, name), size_multiple(generator), tmp_path / f"onnx/{name}.onnx"
        )
        for name in STAGES
    }
    stage = stage_of(generator, "generator")
    spec = GraphSpec("onnx/generator.onnx", stage.inputs, stage.outputs)
    write_fused(tmp_path, specs, spec)
    path = tmp_path / spec.path
    names = [value.name for value in onnx.load(path).graph.input]
    sampled = [] if conditioning == "paper" else ["noise", "grain", "severity", "appearance"]
    assert names == ["image", "mask", "colour", *sampled, "prompt_embeds"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch, height, width in ((1, 64, 64), (3, 32, 80)):
        feeds = {
            t.name: torch.rand([named(d, batch, height, width) for d in t.shape]).numpy()
            for t in stage.inputs
        }
        feeds["mask"] = (feeds["mask"] > 0.5).astype(np.float32)
        with TorchEngine(stage) as engine:
            wanted = engine.infer(feeds)["generated"]
        assert np.abs(session.run(None, feeds)[0] - wanted).max() < 1e-4


@pytest.mark.parametrize("conditioning", ["paper", "full"])
def test_the_stand_ins_of_the_gpu_tests_ask_for_what_real_stages_ask_for(
    conditioning: Conditioning,
) -> None:
    """A stand-in whose stages take more would hide an input that only painting needs."""
    generator = stirred(conditioning)
    for name, names in INPUTS[conditioning].items():
        real = {t.name for t in stage_of(generator, name).inputs}
        assert set(names) == real - {"grain", "appearance"}


@pytest.mark.parametrize("conditioning", ["paper", "full", "light"])
def test_the_stages_chained_in_torch_are_the_generator(conditioning: Conditioning) -> None:
    generator = stirred(conditioning)
    torch.manual_seed(0)
    tensors = {
        t.name: torch.rand([named(d, 2, 64, 48) for d in t.shape]).numpy()
        for t in stage_of(generator, "generator").inputs
    }
    tensors["mask"] = (tensors["mask"] > 0.5).astype(np.float32)

    def infer(name: str, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with TorchEngine(stage_of(generator, name)) as engine:
            return engine.infer({t.name: given[t.name] for t in engine.inputs})

    whole = infer("generator", tensors)["generated"]
    chained = {**tensors, **infer("encoder", tensors)}
    painted = tensors["mask"] * tensors["colour"][:, :, None, None]
    of_mask = infer("encoder", {"image": painted})
    chained |= {f"mask_{name}": value for name, value in of_mask.items()}
    chained |= infer("unet", chained)
    assert np.abs(infer("decoder", chained)["generated"] - whole).max() < 1e-5


def stirred(conditioning: Conditioning) -> Generator:
    """A micro generator whose skips and widened input act."""
    generator = generator_from(micro_base(), conditioning).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in (*generator.skips.parameters(), generator.unet.conv_in.weight):
            parameter.copy_(0.1 * torch.randn_like(parameter))
    return generator


def named(dimension: int | str, batch: int, height: int, width: int) -> int:
    if isinstance(dimension, int):
        return dimension
    if dimension == "batch":
        return batch
    side = height if "height" in dimension else width
    level = dimension.rpartition("_")[2]
    return side // (8 if dimension.startswith("latent") else int(level) if level.isdigit() else 1)


def test_a_base_with_convolutions_of_its_own_is_a_source(tmp_path: Path) -> None:
    base = write_base(tmp_path / "own", conditioning="light")
    source = base_source(str(base), tmp_path)
    assert [c.name for c in source.classes] == list(DEFECT_CLASSES)
    assert source.embeds.shape == (len(DEFECT_CLASSES), 77, 16)
    sha256 = base_sha256(load_base(str(base)))
    assert source.provenance == {"base": "own", "base_sha256": sha256, "training": None}
    assert len(source.scenes) == 3
    assert all(scene.mask.any() for scene in source.scenes)


def test_a_base_gives_its_bundle_the_appearances_that_it_knows(tmp_path: Path) -> None:
    base = write_base(tmp_path / "own", conditioning="light")
    known = np.array([[0.5, -1, -1, -1, 0.25, 0.125, 0.5, -0.5]], np.float32)
    files.write_text(base / appearances.FILE, appearances.to_text({"chip": known, "pit": known}))
    found = base_source(str(base), tmp_path).appearances
    assert list(found) == list(DEFECT_CLASSES)  # a pit is not among the classes that it offers
    assert np.array_equal(found["chip"], known)
    assert len(found["crack"]) == 0


def test_the_command_in_a_process_of_its_own_writes_the_same_bytes(
    own_process: tuple[Path, subprocess.Popen[str]], fp32: Bundle
) -> None:
    out, process = own_process
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert json.loads(stdout) == json.loads(json.dumps(dict(fp32.parity)))
    assert "final_pixels" in stderr
    for path in sorted(p for p in fp32.root.rglob("*") if p.is_file()):
        assert (out / path.relative_to(fp32.root)).read_bytes() == path.read_bytes(), path.name
    assert load_bundle(out).sha256 == fp32.sha256
    assert set(fp32.graphs) == set(GRAPHS)


@pytest.mark.parametrize(
    "words, code",
    [
        ([], 2),
        (["{run}"], 2),
        (["{run}", "-o", "{out}", "--opset", "new"], 2),
        (["{run}", "-o", "{out}", "--sizes", "big"], 2),
        (["{run}", "-o", "{out}", "--sizes", "100"], 1),
        (["{run}", "-o", "{out}", "--precision", "int8"], 1),
        (["{out}/none", "-o", "{out}"], 1),
        (["{run}", "-o", "{run}"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_2_and_a_user_s_mistake_1(
    words: list[str], code: int, run_dir: Path, tmp_path: Path
) -> None:
    places = {"run": run_dir, "out": tmp_path / "out"}
    done = run_command(export_command, *(word.format(**places) for word in words))
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_its_packages_it_says_how_to_get_them(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    done = run_command(export_command, run_dir, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "needs onnxscript" in done.stderr
    assert "pip install 'aliaug-edge[train,export]'" in done.stderr
