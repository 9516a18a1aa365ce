"""What is asked of a build."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.plan import EngineError
from aliaug_edge.engines.store import FUSED, STAGES

LEVELS = range(6)


@dataclass(frozen=True)
class BuildOptions:
    """`graphs` of the bundle to build, each an engine of its own; `sizes` (height, width) in pixels
    and `batches` are the declared shapes, all of the bundle's sizes and batch 1 by default. Each
    combination becomes a static engine; with `dynamic` there is one engine that spans them.

    `workspace_mib` is the memory that a layer's tactics may use, None for our default.
    `min_psnr_db` None is the default of the bundle's precision; `parity` False leaves the proof
    out.
    """

    graphs: tuple[str, ...] = STAGES
    sizes: tuple[tuple[int, int], ...] | None = None
    batches: tuple[int, ...] = (1,)
    dynamic: bool = False
    optimization_level: int = 3
    workspace_mib: int | None = None
    version_compatible: bool = False
    timing_cache: bool = True
    parity: bool = True
    min_psnr_db: float | None = None
    force: bool = False

    def checked(self, bundle: Bundle) -> BuildOptions:
        """Themselves, with the sizes filled in.

        Raises:
            EngineError: a graph or size that the bundle does not have, or a value out of range.
        """
        sizes = tuple(dict.fromkeys(self.sizes or bundle.sizes))
        for graph in self.graphs:
            if graph not in bundle.graphs:
                raise EngineError(
                    f"--graphs {graph}: this bundle has {', '.join(sorted(bundle.graphs))}"
                )
        if not self.graphs:
            raise EngineError(f"--graphs: name some of {', '.join((*STAGES, FUSED))}")
        for size in sizes:
            if size not in bundle.sizes:
                offered = ", ".join(f"{h}x{w}" for h, w in sorted(bundle.sizes))
                raise EngineError(
                    f"--sizes {size[0]}x{size[1]}: this bundle was proven at {offered}; choose "
                    "among these, or export it again for that size"
                )
        if not self.batches or min(self.batches) < 1:
            raise EngineError(f"--batches {list(self.batches)}: expected numbers of at least 1")
        if self.optimization_level not in LEVELS:
            raise EngineError(f"--level {self.optimization_level}: expected 0 to {LEVELS[-1]}")
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise EngineError(f"--workspace {self.workspace_mib}: expected MiB, at least 1")
        if self.min_psnr_db is not None and not math.isfinite(self.min_psnr_db):
            raise EngineError(f"--min-psnr {self.min_psnr_db}: expected dB, a finite number")
        return replace(
            self,
            graphs=tuple(dict.fromkeys(self.graphs)),
            sizes=sizes,
            batches=tuple(dict.fromkeys(self.batches)),
        )
