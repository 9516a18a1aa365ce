"""Our own kernels (`kernels.cu`): compiled on the device that runs them, called with names."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from importlib import resources
from types import TracebackType

from aliaug_edge.engines.buffers import Block
from aliaug_edge.engines.cuda import Cuda, pointer, whole
from aliaug_edge.engines.cuda_errors import GpuError, GpuLostError, GpuMemoryError, KernelError

SOURCE = "kernels.cu"
FIELDS = 10  # ints of geometry per item, in the order of `kernels.cu`
MODES = {"none": 0, "feather": 1, "hard": 2}
_NAMES = ("cut", "paint", "count_marks", "box_sum", "blend", "count_broken")
_THREADS = 256
_COUNT_BLOCKS = 16
_STEPS = (0, 1, 2)  # grow, blur, blur: generation.blend.alpha
_ROWS, _COLUMNS = 0, 1


def source() -> str:
    """The text of `kernels.cu`."""
    return resources.files("aliaug_edge.engines").joinpath(SOURCE).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Sizes:
    """What the kernels work on: `batch` items of `height` x `width` pixels."""

    batch: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def blocks(self) -> tuple[int, int]:
        return -(-self.pixels // _THREADS), self.batch


class Kernels:
    """The compiled kernels on a GPU. A context manager; leaving unloads them."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._module = 0
        self._functions: dict[str, int] = {}

    def __enter__(self) -> Kernels:
        """Compile and load.

        Raises:
            KernelError: NVRTC is not there or cannot compile for this GPU, or it is newer than
                the driver, which then does not take what it made.
        """
        image = self._cuda.compile(source(), SOURCE)
        with contextlib.ExitStack() as stack:
            try:
                self._module = self._cuda.load_module(image)
                stack.callback(self._cuda.drop_module, self._module)
                self._functions = {name: self._cuda.function(self._module, name) for name in _NAMES}
            except (GpuLostError, GpuMemoryError):
                raise
            except GpuError as error:
                raise KernelError(
                    f"{SOURCE} | the driver does not take what NVRTC made of it; is NVRTC newer "
                    f"than the driver? ({error})"
                ) from error
            stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._functions.clear()
        self._cuda.drop_module(self._module)

    def cut(self, given: Block, work: Block, tensors: Block, sizes: Sizes, stream: int) -> None:
        """The photo's region to `shown`, `image`, `mask` and `marks`; see `kernels.cu`."""
        self._launch(
            "cut",
            sizes.blocks(),
            stream,
            given.at("photo"),
            given.at("painted"),
            given.at("geometry"),
            work.at("shown"),
            tensors.at("image"),
            tensors.at("mask"),
            work.at("marks"),
            sizes=sizes,
        )

    def paint(self, mask: int, colour: int, target: int, sizes: Sizes, stream: int) -> None:
        """`target` (B, 3, h, w) = mask x colour."""
        self._launch("paint", sizes.blocks(), stream, mask, colour, target, sizes=sizes)

    def ramp(self, given: Block, work: Block, sizes: Sizes, stream: int) -> None:
        """The numerator of `generation.blend.alpha`, in `marks`; `spare` is written over."""
        self._cuda.clear(work.at("count"), 4 * sizes.batch, stream)
        arguments = [pointer(work.at("marks")), pointer(work.at("count")), whole(sizes.pixels)]
        grid = (_COUNT_BLOCKS, sizes.batch)
        self._cuda.launch(self._functions["count_marks"], grid, arguments, stream)
        for step in _STEPS:
            for axis, source_name, target_name in (
                (_ROWS, "marks", "spare"),
                (_COLUMNS, "spare", "marks"),
            ):
                arguments = [
                    pointer(work.at(source_name)),
                    pointer(work.at(target_name)),
                    pointer(given.at("geometry")),
                    pointer(work.at("count")),
                    *(whole(v) for v in (step, axis, sizes.height, sizes.width)),
                ]
                self._cuda.launch(self._functions["box_sum"], sizes.blocks(), arguments, stream)

    def blend(
        self, generated: int, given: Block, work: Block, patch: int, sizes: Sizes, stream: int
    ) -> None:
        """`patch` (B, h, w, 3) uint8 from the model's output and the ramp."""
        self._launch(
            "blend",
            sizes.blocks(),
            stream,
            generated,
            work.at("shown"),
            work.at("marks"),
            given.at("geometry"),
            work.at("count"),
            patch,
            sizes=sizes,
        )

    def count_broken(self, generated: int, broken: int, sizes: Sizes, stream: int) -> None:
        """How many values of each item are not finite, in `broken` (B) int32."""
        self._cuda.clear(broken, 4 * sizes.batch, stream)
        arguments = [pointer(generated), pointer(broken), whole(3 * sizes.pixels)]
        grid = (_COUNT_BLOCKS, sizes.batch)
        self._cuda.launch(self._functions["count_broken"], grid, arguments, stream)

    def _launch(
        self, name: str, grid: tuple[int, int], stream: int, *addresses: int, sizes: Sizes
    ) -> None:
        arguments = [
            *(pointer(address) for address in addresses),
            whole(sizes.height),
            whole(sizes.width),
        ]
        self._cuda.launch(self._functions[name], grid, arguments, stream)
