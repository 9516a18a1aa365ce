"""Calls that answer with an error because a test wants it, or because the GPU is gone."""

from __future__ import annotations

from support.gpu.enums import CUresult

STICKY = frozenset(  # of those that tests let happen
    {
        CUresult.CUDA_ERROR_ECC_UNCORRECTABLE,
        CUresult.CUDA_ERROR_MISALIGNED_ADDRESS,
        CUresult.CUDA_ERROR_MPS_CLIENT_TERMINATED,
    }
)


class Failures:
    """`fail` lets one call fail, `lose` every call from then on. `uncapturable` says that a layer
    of every TensorRT engine does what no capture allows."""

    def __init__(self) -> None:
        self._failing: dict[str, tuple[int, CUresult]] = {}
        self.lost: CUresult | None = None
        self.uncapturable = False

    def fail(self, function: str, code: CUresult, after: int = 0) -> None:
        """The call of `function` after `after` good ones answers `code`."""
        self._failing[function] = (after, code)

    def lose(self, code: CUresult = CUresult.CUDA_ERROR_ECC_UNCORRECTABLE) -> None:
        """The GPU is gone."""
        self.lost = code

    def verdict(self, function: str) -> CUresult | None:
        """What this call of `function` answers instead of doing its work."""
        if self.lost is not None or function not in self._failing:
            return self.lost
        after, code = self._failing.pop(function)
        if after <= 0:
            if code in STICKY:  # the context is gone with it
                self.lose(code)
            return code
        self._failing[function] = (after - 1, code)
        return None
