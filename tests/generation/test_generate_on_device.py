"""`ali-aug generate` on TensorRT: a GPU in numpy, uint8 in and out, held against the CPU's run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from support.bundles import make_bundle
from support.gpu.enums import CUresult
from support.gpu.full import make_full_bundle, make_paper_bundle
from support.gpu.here import Here
from support.gpu.rig import STAGED, rig
from typer.testing import CliRunner

from aliaug_edge import crops
from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.cli.app import ErrorBoundary
from aliaug_edge.cli.generate import generate
from aliaug_edge.engines.cuda_errors import GpuLostError
from aliaug_edge.engines.paste import PastePipeline
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.placement import Placed
from aliaug_edge.generation.request import Request, RunSettings
from aliaug_edge.generation.run import generate_dataset
from aliaug_edge.generation.runners import NonFiniteError
from aliaug_edge.generation.sample import framed
from aliaug_edge.tensors import LATENT_FACTOR

FUSED = ("generator",)
Run = Callable[..., str]


@pytest.fixture
def run(bundle_dir: Path, good_dir: Path) -> Run:
    """`ali-aug generate` in this process; what it says on stderr."""
    app = typer.Typer(cls=ErrorBoundary, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.command("generate")(generate)

    def call(out: Path, engine: str, *arguments: object) -> str:
        words = [bundle_dir, "--images", good_dir, "-o", out, "--engine", engine, *arguments]
        done = CliRunner().invoke(app, ["generate", *map(str, words)])
        assert done.exit_code == 0, done.output
        return done.stderr

    return call


def lines(out: Path) -> list[dict[str, Any]]:
    text = (out / "samples.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def levels_apart(one: Path, other: Path) -> int:
    """The most that a pixel differs by, after the masks are seen to be equal."""
    masks = [{p.name: p.read_bytes() for p in (d / "masks").iterdir()} for d in (one, other)]
    assert masks[0] == masks[1] != {}
    most = 0
    for path in (one / "images").iterdir():
        pixels = [np.asarray(Image.open(d / "images" / path.name)) for d in (one, other)]
        assert pixels[0].shape == pixels[1].shape
        most = max(most, int(np.abs(pixels[0].astype(int) - pixels[1]).max()))
    return most


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


@pytest.mark.parametrize(
    ("stages", "eager", "arguments", "scaled"),
    [
        (STAGED, False, ["-n", 12, "--blend", "feather"], False),
        (STAGED, True, ["-n", 6, "--blend", "hard", "--area", "0.3:0.5"], True),
        (FUSED, False, ["-n", 6, "--blend", "none", "--quality", "off"], False),
    ],
    ids=["staged", "staged, scaled windows", "fused"],
)
def test_the_dataset_is_that_of_the_cpu(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stages: tuple[str, ...],
    eager: bool,
    arguments: list[object],
    scaled: bool,
) -> None:
    run(tmp_path / "cpu", "onnxruntime-cpu", *arguments)
    with rig(eager=eager) as gpu:
        Here(monkeypatch, gpu).has_plans(*stages)
        run(tmp_path / "gpu", "tensorrt", *arguments)
    assert levels_apart(tmp_path / "gpu", tmp_path / "cpu") <= 1
    made, expected = lines(tmp_path / "gpu"), lines(tmp_path / "cpu")
    assert [without(r, "engine", "scores") for r in made] == [
        without(r, "engine", "scores") for r in expected
    ]
    for one, other in zip(made, expected, strict=True):
        assert one["engine"] == "tensorrt"
        assert one["scores"] == pytest.approx(other["scores"], abs=0.02)
    assert scaled == any(record["window"][2] > 128 for record in made)
    # Every try that found a place was cut and blended on the device, and no other copy was made.
    steps = ("copy to device", "cut", "blend", "copy to host")
    counts = {gpu.machine.ran.count(step) for step in steps}
    assert len(counts) == 1
    assert len(made) <= counts.pop() <= sum(record["tries"] for record in made)


@pytest.mark.parametrize("make", [make_full_bundle, make_paper_bundle])
def test_bundles_whose_mask_is_encoded_make_the_dataset_of_the_cpu(
    make: Any, good_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stage of theirs reads the colour that the mask is painted in."""
    other = load_bundle(make(tmp_path / "bundle"))
    settings = RunSettings(count=6, engine="onnxruntime-cpu", quality="off")
    generate_dataset(other, settings, tmp_path / "cpu", good_dir)
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        settings = replace(settings, engine="tensorrt")
        generate_dataset(other, settings, tmp_path / "gpu", good_dir)
    assert levels_apart(tmp_path / "gpu", tmp_path / "cpu") <= 1
    assert gpu.machine.ran.count("cut") >= 6


def test_a_good_image_is_encoded_once_for_all_its_defects(
    run: Run, masks_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six images come round three times each, with one mask each."""
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        run(tmp_path / "out", "tensorrt", "-n", 18, "--masks", masks_dir, "--quality", "off")
    assert gpu.machine.ran.count("encoder") == 6
    assert gpu.machine.ran.count("decoder") == 18
    assert len({record["seed"] for record in lines(tmp_path / "out")}) == 18


def test_the_next_image_is_sent_while_one_is_computed(
    bundle: Bundle, good_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers put their work on the device without waiting for one another's results."""
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        most = watched(monkeypatch)
        settings = RunSettings(count=12, seed=2, engine="tensorrt")
        generate_dataset(bundle, settings, tmp_path / "out", good_dir)
    assert most() == 2


def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many batches were sent and not yet waited for, at most. The first waits until a second
    was sent too, as a GPU that is slower than the host would make it."""
    sent, second = [0, 0], threading.Event()
    send, receive = PastePipeline._send, PastePipeline._receive

    def sending(self: Any, *arguments: Any) -> None:
        send(self, *arguments)
        sent[0] += 1
        sent[1] = max(sent)
        if sent[0] == 2:
            second.set()

    def receiving(self: Any, *arguments: Any) -> Any:
        assert second.wait(60), "nobody sent while another one waited"
        sent[0] -= 1
        return receive(self, *arguments)

    monkeypatch.setattr(PastePipeline, "_send", sending)
    monkeypatch.setattr(PastePipeline, "_receive", receiving)
    return lambda: sent[1]


@pytest.mark.parametrize(
    ("stages", "named"),
    [(STAGED, "output denoised of unet"), (FUSED, "output generated of generator")],
)
def test_a_value_that_is_not_finite_fails_its_sample_and_names_the_stage(
    good_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stages: tuple[str, ...],
    named: str,
) -> None:
    broken = load_bundle(make_bundle(tmp_path / "nan", gain=float("nan")))
    settings = RunSettings(count=3, engine="tensorrt", retries=1)
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*stages)
        summary = generate_dataset(broken, settings, tmp_path / "out", good_dir)
    assert summary.failed == 3
    for record in lines(tmp_path / "out"):
        assert record["reason"] == f"bundle test-bundle | {named} holds non-finite values"
        assert (record["image"], record["tries"]) == (None, 2)


def test_a_gpu_that_is_lost_leaves_what_is_finished_and_the_run_resumes(
    bundle: Bundle, good_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hash_of: Any
) -> None:
    settings = RunSettings(count=10, seed=4, engine="tensorrt", quality="off")

    def make(out: Path, *, loses: bool = False) -> None:
        def lose(requested: int, done: int) -> None:
            del requested
            if loses and done == 4:
                gpu.driver.lose()

        with rig() as gpu:
            Here(monkeypatch, gpu).has_plans(*STAGED)
            generate_dataset(bundle, settings, out, good_dir, progress=lose)

    make(tmp_path / "whole")
    with pytest.raises(GpuLostError, match="finished samples are kept: run the same command again"):
        make(tmp_path / "cut", loses=True)
    left = {path.name: path.read_bytes() for path in (tmp_path / "cut" / "images").iterdir()}
    assert 4 <= len(left) < 10
    for name, content in left.items():
        assert (tmp_path / "whole" / "images" / name).read_bytes() == content
    make(tmp_path / "cut")
    assert hash_of(tmp_path / "cut") == hash_of(tmp_path / "whole")


def test_without_a_compiler_for_our_kernels_the_cpu_cuts_and_blends(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise RuntimeError("libnvrtc.so not found")

    run(tmp_path / "cpu", "onnxruntime-cpu", "-n", 3)
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        monkeypatch.setattr(gpu.bindings[1], "nvrtcGetSupportedArchs", missing)
        said = run(tmp_path / "gpu", "tensorrt", "-n", 3)
    assert "engine: tensorrt, cut and blend on the CPU (NVRTC cannot be opened" in said
    assert levels_apart(tmp_path / "gpu", tmp_path / "cpu") <= 1
    assert gpu.machine.ran.count("cut") == 0


def test_without_our_kernels_a_value_that_is_not_finite_names_its_stage_too(
    good_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise RuntimeError("libnvrtc.so not found")

    broken = load_bundle(make_bundle(tmp_path / "nan", gain=float("nan")))
    settings = RunSettings(count=2, engine="tensorrt", retries=0)
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        monkeypatch.setattr(gpu.bindings[1], "nvrtcGetSupportedArchs", missing)
        generate_dataset(broken, settings, tmp_path / "out", good_dir)
    first, second = (record["reason"] for record in lines(tmp_path / "out"))
    assert first == "bundle test-bundle | output denoised of unet holds non-finite values"
    assert second == "bundle test-bundle | output generated holds non-finite values"


@pytest.mark.parametrize(
    ("call", "code", "after"),
    [
        ("cuModuleLoadData", CUresult.CUDA_ERROR_INVALID_IMAGE, 0),
        ("cuModuleGetFunction", CUresult.CUDA_ERROR_NOT_FOUND, 2),
    ],
)
def test_where_the_driver_does_not_load_our_kernels_the_cpu_cuts_and_blends(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: CUresult, after: int
) -> None:
    """As with an NVRTC that is newer than the driver; nothing of it stays loaded."""
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        gpu.driver.fail(call, code, after)
        said = run(tmp_path / "gpu", "tensorrt", "-n", 2, "--quality", "off")
    assert "cut and blend on the CPU (kernels.cu | the driver does not take what NVRTC" in said
    assert f"({code.name}); run: ali-aug doctor)" in said
    assert len(lines(tmp_path / "gpu")) == 2


def request_of(bundle: Bundle, severity: float) -> Request:
    return Request(0, "part.png", bundle.class_names[0], 7, severity, "bank")


@pytest.mark.parametrize("box", [30, 120])
def test_an_insertion_and_the_raw_output_of_its_crop_are_the_same(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, box: int
) -> None:
    """At full resolution, and under a window that is scaled: then nothing is blended yet."""
    photo = np.random.default_rng(3).integers(0, 256, (200, 260, 3), dtype=np.uint8)
    mask = np.zeros((200, 260), np.uint8)
    mask[40 : 40 + box, 50 : 50 + box] = 255
    request = request_of(bundle, 0.5)
    prepared = framed(bundle, request, 0, photo, Placed(mask, "bank"))
    asked = (request.defect_class, request.seed, request.severity)
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        with Pipeline(bundle, "tensorrt", batch=1) as pipeline:
            answer = pipeline.insert(prepared, *asked, "feather")
            crop = (prepared.shown[None], prepared.shown_mask[None])
            raw = pipeline.generate(*crop, *([value] for value in asked))[0]
            assert pipeline.engine_s > 0
    assert np.array_equal(answer.raw, raw)
    scaled = prepared.window.height != prepared.shown.shape[0]
    assert list(answer.blended) == ([] if scaled else ["feather"])
    assert scaled == (box == 120)
    if not scaled:
        seen = crops.cut(photo, prepared.window)
        assert (answer.blended["feather"] != seen).any()


def test_several_crops_at_once_are_answered_as_each_alone(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = 8 * LATENT_FACTOR
    shown = np.random.default_rng(1).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    masks = np.zeros((3, side, side), np.uint8)
    masks[:, 20:40, 20:40] = 255
    asked = (["crack", "stain", "crack"], [1, 2, 3], [0.5, 0.7, 0.9])
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        for batch in (None, 2):
            with Pipeline(bundle, "tensorrt", batch=batch) as pipeline:
                together = pipeline.generate(shown, masks, *asked)
            with Pipeline(bundle, "onnxruntime-cpu") as pipeline:
                assert np.allclose(together, pipeline.generate(shown, masks, *asked), atol=1e-6)


def test_one_crop_that_is_not_finite_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = load_bundle(make_bundle(tmp_path / "nan", gain=float("nan")))
    crop = np.zeros((1, 64, 64, 3), np.uint8)
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        with (
            Pipeline(broken, "tensorrt") as pipeline,
            pytest.raises(NonFiniteError, match="output denoised of unet holds non-finite"),
        ):
            pipeline.generate(crop, np.full((1, 64, 64), 255, np.uint8), ["crack"], [1], [0.5])
