"""A GPU that is lost in the middle of a run: what is finished stays, and the run goes on later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.gpu.enums import CUresult
from support.gpu.here import Here
from support.gpu.rig import STAGED, rig
from support.gpu.tensorrt import plans

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.cuda_errors import GpuError, GpuLostError, GpuMemoryError
from aliaug_edge.errors import OutputError
from aliaug_edge.generation.request import RunSettings
from aliaug_edge.generation.run import generate_dataset

COUNT = 6


@pytest.fixture
def good_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "good"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(90, 140, (96, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"part_{number}.png")
    return folder


def made_files(folder: Path) -> dict[str, bytes]:
    """Every finished file, without what a run keeps for itself."""
    kinds = ("images", "masks")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for kind in kinds
        for path in sorted((folder / kind).glob("*.png"))
    }


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (CUresult.CUDA_ERROR_ECC_UNCORRECTABLE, GpuLostError, "run the same command again"),
        (CUresult.CUDA_ERROR_OUT_OF_MEMORY, GpuMemoryError, "lower the batch or the size"),
    ],
)
def test_finished_samples_stay_and_the_run_resumes_with_the_same_bytes(
    bundle: Bundle,
    good_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: CUresult,
    error: type[GpuError],
    said: str,
) -> None:
    settings = RunSettings(count=COUNT, seed=5, engine="tensorrt", classes=("crack",))

    def generate(out: Path, fails_at: int | None) -> int:
        with rig() as gpu:
            Here(monkeypatch, gpu).has_plans(*STAGED)
            if fails_at is not None:
                gpu.driver.fail("cuGraphLaunch", code, fails_at)
            return generate_dataset(bundle, settings, out, good_dir, threads=1).kept

    whole = generate(tmp_path / "whole", None)
    with pytest.raises(error, match=said) as caught:
        generate(tmp_path / "cut", 3)
    assert "\n" not in str(caught.value)
    left = made_files(tmp_path / "cut")
    finished = made_files(tmp_path / "whole")
    assert 0 < len(left) < len(finished)
    assert all(finished[name] == content for name, content in left.items())
    assert generate(tmp_path / "cut", None) == whole
    assert made_files(tmp_path / "cut") == finished
    sheets = [(tmp_path / name / "samples.jsonl").read_bytes() for name in ("cut", "whole")]
    assert sheets[0] == sheets[1]


def test_a_run_is_not_continued_with_another_tensorrt_or_other_plans(
    bundle: Bundle, good_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where apt installed TensorRT, no Python package tells its version."""
    out, settings = tmp_path / "out", RunSettings(count=COUNT, engine="tensorrt")

    def generate(version: str, fails_at: int | None = None, batch: int = 4) -> None:
        with rig(version=version) as gpu:
            found = plans(bundle, STAGED, batch=batch)
            Here(monkeypatch, gpu).has_plans(*STAGED)
            monkeypatch.setattr("aliaug_edge.engines.select.find_plans", lambda *_, **__: found)
            if fails_at is not None:
                code = CUresult.CUDA_ERROR_ECC_UNCORRECTABLE
                gpu.driver.fail("cuGraphLaunch", code, fails_at)
            generate_dataset(bundle, settings, out, good_dir, threads=1)

    with pytest.raises(GpuLostError):
        generate("10.3", fails_at=3)
    before = made_files(out)
    with pytest.raises(OutputError, match=r"begun with TensorRT 10\.3, now it is 10\.13; "):
        generate("10.13")
    with pytest.raises(OutputError, match=r"begun with plans [0-9a-f]{64}, now it is"):
        generate("10.3", batch=5)
    assert before and made_files(out) == before
    generate("10.3")
    assert len(made_files(out)) > len(before)
