from __future__ import annotations

import numpy as np
import pytest
from support.bundles import make_bundle

from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.tensors import Arrays


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_bundle(tmp_path_factory.mktemp("bundles") / "bundle"))


@pytest.fixture
def feeds(bundle: Bundle) -> Arrays:
    """Two crops of 64×96 with a box to change, for the fused generator."""
    rng = np.random.default_rng(0)
    mask = np.zeros((2, 1, 64, 96))
    mask[:, :, 16:40, 24:64] = 1
    arrays = {
        "image": rng.uniform(-0.2, 0.2, (2, 3, 64, 96)),
        "mask": mask,
        "colour": np.full((2, 3), 0.8),
        "noise": rng.normal(size=(2, 4, 8, 12)),
        "severity": np.full((2, 1), 0.5),
        "prompt_embeds": np.stack([bundle.prompts["crack"]] * 2),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}
