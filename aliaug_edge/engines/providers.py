"""ONNX Runtime's execution providers and the options that we give them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from aliaug_edge.engines.installed import CUDA_LIBRARIES

CPU = "CPUExecutionProvider"
GPU_PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
TITLES = {"cuda": "CUDA", "tensorrt": "TensorRT"}
LIBRARIES = {"cuda": CUDA_LIBRARIES, "tensorrt": f"{CUDA_LIBRARIES} and TensorRT 10"}

# Precision is a property of the graph: TF32 would round FP32 graphs to 10 bits behind our back.
# Exhaustive search may pick another convolution each time, and with it other bytes.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


def gpu_providers(wanted: str, cache_dir: Path | None, *, fp16: bool, captured: bool) -> list[Any]:
    """Providers in order of preference, `wanted` ("cuda" or "tensorrt") first.

    `captured` asks for a CUDA graph of the whole run. `cache_dir` keeps what the TensorRT provider
    builds, where it can be written; `fp16` lets it use the halves that the graph holds.
    """
    if wanted == "cuda":
        graph = {"enable_cuda_graph": "1"} if captured else {}
        return [(GPU_PROVIDERS["cuda"], {**_CUDA_OPTIONS, **graph}), CPU]
    options = {"trt_fp16_enable": str(int(fp16))}
    if captured:
        options["trt_cuda_graph_enable"] = "1"
    if cache_dir is not None and _is_writable(cache_dir):  # building takes minutes
        folder = str(cache_dir)
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
        options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": folder}
    return [(GPU_PROVIDERS["tensorrt"], options), (GPU_PROVIDERS["cuda"], _CUDA_OPTIONS), CPU]


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a bundle on a read-only disk: the provider builds at every start
        return False
    return os.access(folder, os.W_OK)
