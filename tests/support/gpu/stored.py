"""Engines as `ali-aug build` leaves them in a bundle: plans of the fake TensorRT with real headers
and a real index."""

from __future__ import annotations

import hashlib

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.building.machine import this_platform
from aliaug_edge.engines.index import add_engine
from aliaug_edge.engines.plan import Header, Here, Profile
from aliaug_edge.engines.shapes import bind_specs, free_dimensions
from aliaug_edge.engines.store import FOLDER, device_key
from support.gpu.rig import STAGED
from support.gpu.tensorrt import plan

Size = tuple[int, int]


def store_engines(
    bundle: Bundle,
    sizes: tuple[Size, ...],
    stages: tuple[str, ...] = STAGED,
    *,
    tensorrt: str = "10.3",
    version_compatible: bool = False,
) -> None:
    """Make engines of batch 1 that hold every size between the first and the last of `sizes`; call
    it once per size for static ones."""
    here = Here("8.7", "Orin", tensorrt, this_platform())
    folder = bundle.root / FOLDER / device_key(here)
    folder.mkdir(parents=True, exist_ok=True)
    ends = [free_dimensions(size, 1) for size in (sizes[0], sizes[-1])]
    for stage in stages:
        spec = bundle.graphs[stage]
        low, high = ([s.shape for s in bind_specs(spec.inputs, end)] for end in ends)
        profile = {
            tensor.name: Profile(small, small, large)  # type: ignore[arg-type]
            for tensor, small, large in zip(spec.inputs, low, high, strict=True)
        }
        name = f"{stage}-{'-'.join(f'{h}x{w}' for h, w in sizes)}-b1"
        data = plan(bundle.graph_path(stage), spec, *ends, host_code=version_compatible)
        (folder / f"{name}.plan").write_bytes(data)
        header = Header(
            graph=stage,
            key=name,
            plan=f"{name}.plan",
            plan_sha256=hashlib.sha256(data).hexdigest(),
            plan_bytes=len(data),
            onnx_sha256="0" * 64,
            built_for=here,
            precision="fp32",
            profile=profile,
            flags=(),
            optimization_level=3,
            workspace_mib=None,
            version_compatible=version_compatible,
            parity=None,
            build_s=1.0,
        )
        add_engine(bundle, folder, name, header)
