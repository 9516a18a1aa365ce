"""Our kernels, compiled as C++ from the same source, against the CPU's functions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.gpu.nvrtc import FakeNvrtc
from support.gpu.rig import rig

from aliaug_edge import imaging
from aliaug_edge.engines import kernels as kernels_module
from aliaug_edge.engines.buffers import Memory, layout_of
from aliaug_edge.engines.cuda import Cuda
from aliaug_edge.engines.cuda_errors import GpuError, KernelError
from aliaug_edge.engines.kernels import FIELDS, MODES, Kernels, Sizes
from aliaug_edge.generation import blend as cpu
from aliaug_edge.quality.planes import LUMA
from aliaug_edge.tensors import TensorSpec


def on_device(
    photos: np.ndarray, masks: np.ndarray, raw: np.ndarray, modes: list[str], *, grey: bool = False
) -> SimpleNamespace:
    """What the kernels make of `photos` (B, h, w, 3), `masks` (B, h, w), `raw` (B, 3, h, w)."""
    batch, height, width = masks.shape
    hw = (batch, height, width)
    block = layout_of(
        [
            TensorSpec("photo", "uint8", photos.shape),
            TensorSpec("painted", "uint8", hw),
            TensorSpec("geometry", "int32", (batch, FIELDS)),
            TensorSpec("shown", "uint8", photos.shape),
            TensorSpec("marks", "int32", hw),
            TensorSpec("spare", "int32", hw),
            TensorSpec("count", "int32", (batch,)),
            TensorSpec("image", "float32", raw.shape),
            TensorSpec("mask", "float32", (batch, 1, height, width)),
            TensorSpec("generated", "float32", raw.shape),
            TensorSpec("patch", "uint8", photos.shape),
            TensorSpec("broken", "int32", (batch,)),
        ]
    )
    with rig() as gpu, Cuda(gpu.bindings) as cuda, Memory(cuda) as memory, Kernels(cuda) as ours:
        stream, host = cuda.new_stream(), memory.pinned(block, "test")
        here, sizes = memory.block(block, "test"), Sizes(batch, height, width)
        host.arrays["photo"][:] = photos
        host.arrays["painted"][:] = masks
        host.arrays["generated"][:] = raw
        for item, mode in enumerate(modes):
            host.arrays["geometry"][item] = (0, 0, width, 0, 0, height, width, grey, MODES[mode], 0)
        cuda.to_device(here.address, host.address, block.nbytes, stream)
        ours.cut(here, here, here, sizes, stream)
        ours.ramp(here, here, sizes, stream)
        ours.blend(here.at("generated"), here, here, here.at("patch"), sizes, stream)
        ours.count_broken(here.at("generated"), here.at("broken"), sizes, stream)
        cuda.to_host(host.address, here.address, block.nbytes, stream)
        cuda.synchronize(stream)
        made = {name: array.copy() for name, array in host.arrays.items()}
        cuda.drop_stream(stream)
    return SimpleNamespace(**made)


def scene(seed: int, batch: int = 3, hw: tuple[int, int] = (48, 40)) -> tuple[Any, Any, Any]:
    """Noise everywhere, so that every pixel shows its weight, and boxes of all sizes as masks."""
    rng = np.random.default_rng(seed)
    photos = rng.integers(0, 256, (batch, *hw, 3), dtype=np.uint8)
    masks = np.zeros((batch, *hw), np.uint8)
    for mask in masks:
        top, left = rng.integers(0, 30, 2)
        mask[top : top + rng.integers(1, 40), left : left + rng.integers(1, 40)] = 255
    return photos, masks, rng.normal(0, 0.9, (batch, 3, *hw)).astype(np.float32)


@pytest.mark.parametrize("seed", range(12))
def test_image_and_mask_are_those_of_imaging(seed: int) -> None:
    photos, masks, raw = scene(seed)
    masks[0, :2, :3] = [[0, 1, 127], [128, 200, 255]]  # 127 is the threshold
    made = on_device(photos, masks, raw, ["none"] * 3)
    assert np.array_equal(made.image, imaging.images_to_tensor(photos))
    assert np.array_equal(made.mask, imaging.masks_to_tensor(masks))
    assert np.array_equal(made.shown, photos)


@pytest.mark.parametrize("seed", range(40))
def test_patches_are_those_of_blend(seed: int) -> None:
    photos, masks, raw = scene(seed)
    modes = [sorted(MODES)[(seed + i) % 3] for i in range(3)]
    made = on_device(photos, masks, raw, modes)
    for item, mode in enumerate(modes):
        shown = photos[item]
        patch = cpu.blend(shown, masks[item], shown, raw[item].transpose(1, 2, 0), mode=mode)
        assert np.array_equal(made.patch[item], patch), mode


def test_every_width_of_the_band_is_met() -> None:
    """The scenes above reach each band, odd and even, from the least to the widest."""
    bands = {cpu.band_px(mask) for seed in range(40) for mask in scene(seed)[1]}
    assert bands == set(range(cpu.LEAST_BAND_PX, cpu.BLEND_BAND_PX + 1))


def test_the_constants_of_the_source_are_those_of_the_cpu() -> None:
    source = kernels_module.source()
    assert f"#define BAND_PX {cpu.BLEND_BAND_PX}.0" in source
    assert f"#define LEAST_BAND_PX {cpu.LEAST_BAND_PX}.0" in source
    assert f"#define HARD_MARGIN_PX {cpu.HARD_MARGIN_PX}" in source
    assert all(f"{weight:.3f}f" in source for weight in LUMA)
    assert f"FIELDS = {FIELDS}" in source


@pytest.mark.parametrize("seed", range(6))
def test_grey_images_differ_by_a_rounding_at_most(seed: int) -> None:
    photos, masks, raw = scene(seed)
    photos[:] = photos[..., :1]
    made = on_device(photos, masks, raw, ["feather"] * 3, grey=True)
    for item, mask in enumerate(masks):
        shown = photos[item]
        raw_hwc = raw[item].transpose(1, 2, 0)
        patch = cpu.blend(shown, mask, shown, raw_hwc, mode="feather", grey=True)
        assert np.abs(made.patch[item].astype(int) - patch).max() <= 1
        assert (made.patch[item] != patch).mean() < 1e-3


def test_values_that_are_not_finite_are_counted_per_image() -> None:
    photos, masks, raw = scene(0)
    raw[0, 1, 5, 5] = np.nan
    raw[2, 0, 1, 1], raw[2, 2, 3, 3] = np.inf, -np.inf
    assert on_device(photos, masks, raw, ["none"] * 3).broken.tolist() == [1, 0, 2]


def test_a_source_that_does_not_compile_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels_module, "source", lambda: "int nonsense( {")
    with rig() as gpu, Cuda(gpu.bindings) as cuda, pytest.raises(GpuError) as caught:
        Kernels(cuda).__enter__()
    assert "kernels.cu | the GPU refused nvrtcCompileProgram" in str(caught.value)
    assert "nonsense" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_nvrtc_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any) -> Any:
        raise RuntimeError("Failed to dlopen libnvrtc.so.12")

    monkeypatch.setattr(FakeNvrtc, "nvrtcGetSupportedArchs", absent)
    line = r"libnvrtc\.so\.12.*pip install 'nvidia-cuda-nvrtc<14'"
    with rig() as gpu, Cuda(gpu.bindings) as cuda, pytest.raises(GpuError, match=line):
        Kernels(cuda).__enter__()


def test_an_nvrtc_that_does_not_know_the_gpu_says_which_it_knows() -> None:
    """NVRTC 13 has dropped Xavier, NVRTC 12 has never heard of Thor."""
    line = r"NVRTC 13\.5 does not compile for this GPU, SM 8\.7 \(for SM 9\.0 to 12\.1\); run: pip "
    with rig() as gpu, Cuda(gpu.bindings) as cuda, pytest.raises(KernelError, match=line):
        gpu.bindings[1].architectures = [90, 121]
        Kernels(cuda).__enter__()
