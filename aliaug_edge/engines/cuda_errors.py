"""What a GPU can answer instead of doing as it was told, in one line each."""

from __future__ import annotations

from aliaug_edge.errors import AliAugError

# After these the process gets nothing more from this GPU: its context is gone, or CUDA says that it
# is left in an inconsistent state, in which every later call fails too.
_LOST = frozenset(
    {
        "CUDA_ERROR_ASSERT",
        "CUDA_ERROR_CONTAINED",
        "CUDA_ERROR_CONTEXT_IS_DESTROYED",
        "CUDA_ERROR_DEINITIALIZED",
        "CUDA_ERROR_DEVICE_UNAVAILABLE",
        "CUDA_ERROR_ECC_UNCORRECTABLE",
        "CUDA_ERROR_EXTERNAL_DEVICE",
        "CUDA_ERROR_HARDWARE_STACK_ERROR",
        "CUDA_ERROR_ILLEGAL_ADDRESS",
        "CUDA_ERROR_ILLEGAL_INSTRUCTION",
        "CUDA_ERROR_INVALID_ADDRESS_SPACE",
        "CUDA_ERROR_INVALID_PC",
        "CUDA_ERROR_LAUNCH_FAILED",
        "CUDA_ERROR_LAUNCH_TIMEOUT",
        "CUDA_ERROR_MISALIGNED_ADDRESS",
        "CUDA_ERROR_MPS_CLIENT_TERMINATED",
        "CUDA_ERROR_MPS_RPC_FAILURE",
        "CUDA_ERROR_NO_DEVICE",
        "CUDA_ERROR_NVLINK_UNCORRECTABLE",
        "CUDA_ERROR_TENSOR_MEMORY_LEAK",
        "CUDA_ERROR_UNKNOWN",
    }
)


class GpuError(AliAugError):
    """A call to the GPU failed."""


class GpuMemoryError(GpuError):
    """The GPU has not enough free memory."""


class KernelError(GpuError):
    """Our own kernels cannot be compiled for the GPU, or the driver does not load them."""


class BindingError(GpuError):
    """cuda-python finds no such function in the driver, or cannot open NVRTC."""


class GpuLostError(GpuError):
    """The GPU, or this process's hold on it, is gone; what is finished is on disk."""


def error_of(function: str, name: str) -> GpuError:
    """The error for a status of the CUDA driver, such as "CUDA_ERROR_OUT_OF_MEMORY"."""
    if name == "CUDA_ERROR_OUT_OF_MEMORY":
        return GpuMemoryError(
            f"out of GPU memory in {function}; lower the batch or the size, or close other "
            "programs that use the GPU"
        )
    if name in _LOST:
        return GpuLostError(
            f"the GPU was lost in {function} ({name}); finished samples are kept: run the same "
            "command again, after `nvidia-smi` or a restart shows the GPU"
        )
    return GpuError(f"the GPU refused {function} ({name}); run: ali-aug doctor")
