"""Which arithmetic training uses: BF16 where it is asked for, or where it is fast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch


def autocast_for(precision: str, device: torch.device) -> Callable[[], torch.autocast]:
    """BF16 where asked or, with "auto", on GPUs that have it and on CPUs with AVX-512 BF16."""
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()
    else:
        fast = precision == "bf16"
    return lambda: torch.autocast(device.type, torch.bfloat16, enabled=fast)


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies BF16 in hardware, as far as Linux says."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
