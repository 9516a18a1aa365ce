"""Two processes over gloo: shares of a batch, averaged gradients, a whole run of one command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file
from torch import Tensor, nn

from aliaug_edge.errors import AliAugError
from aliaug_edge.training import losses, parallel
from aliaug_edge.training.config import config_document
from aliaug_edge.training.defects import DefectSource, draw_defects
from aliaug_edge.training.parallel import Ranks
from aliaug_edge.training.trainer import train
from tests.training.conftest import NewConfig


def gradients(rows: slice) -> list[Tensor]:
    """Of a tiny generator, under losses whose divisors differ from row to row."""
    seed = torch.Generator().manual_seed(0)
    image, target = torch.randn(2, 4, 3, 8, 8, generator=seed)
    mask = (torch.rand(4, 1, 8, 8, generator=seed) > torch.rand(4, 1, 1, 1, generator=seed)).float()
    paired = torch.tensor([1.0, 1.0, 1.0, 0.0])
    torch.manual_seed(1)
    model = nn.Conv2d(3, 3, 3, padding=1)
    output, wanted = model(image[rows]), (target[rows], mask[rows], paired[rows])
    loss = losses.masked_l1(output, target[rows], 1 - mask[rows])
    loss = loss + losses.inside_loss(output, *wanted) + losses.gradient_loss(output, *wanted)
    loss = loss + losses.feature_loss([output], [target[rows]], paired[rows])
    loss.backward()
    parallel.average_gradients(model.parameters())
    return [p.grad for p in model.parameters() if p.grad is not None]


def one_of_two(index: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=index, world_size=2)
    torch.save(gradients(parallel.rows_of(4, parallel.ranks())), f"{folder}/{index}.pt")
    dist.destroy_process_group()


def test_two_processes_have_the_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    mp.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{index}.pt") for index in range(2))
    for ours, theirs, whole in zip(first, second, gradients(slice(0, 4)), strict=True):
        assert torch.equal(ours, theirs)
        assert torch.allclose(ours, whole, atol=1e-6)


def test_shares_are_the_whole_batch_in_order(source: DefectSource) -> None:
    batch = draw_defects(
        source, 0, seed=0, size=4, crop=32, colour_carrier=False, unpaired_share=0.5
    )
    shares = [parallel.share_of(batch, Ranks(2, index)) for index in range(2)]
    assert torch.equal(torch.cat([share.image for share in shares]), batch.image)
    assert shares[0].prompts + shares[1].prompts == batch.prompts


def test_a_batch_that_cannot_be_shared_is_refused(
    new_config: NewConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(AliAugError, match="batch_size 2: expected a multiple of the 3 processes"):
        train(new_config(), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_of_two_processes_is_that_of_one(new_config: NewConfig, tmp_path: Path) -> None:
    config, folder = new_config(batch_size=4), tmp_path / "two"
    alone = train(config, tmp_path / "one", progress=False)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config_document(config)))
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "aliaug_edge"]
    result = subprocess.run(
        [sys.executable, *command, "train", "--config", str(file), "-o", str(folder), "-q"],
        env={**os.environ, "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    for name in ("conditioning.safetensors", "adapters/unet/adapter_model.safetensors"):
        ours, theirs = load_file(folder / name), load_file(alone / name)
        for key, value in ours.items():
            assert torch.allclose(value, theirs[key], atol=2e-4), key
