"""Pretraining: six steps on two dozen procedural pairs make a base that loads."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aliaug_edge.appearances import NUMBERS
from aliaug_edge.data.procedural import DEFECT_CLASSES, MATERIALS
from aliaug_edge.errors import AliAugError, OutputError
from aliaug_edge.model.appearance import appearance_of
from aliaug_edge.model.base import extras_of, generator_from, load_base
from aliaug_edge.model.text import class_prompt
from aliaug_edge.training import loop, pretrain
from aliaug_edge.training.batch import class_colour
from aliaug_edge.training.pair_cache import PairCache, pair_cache
from aliaug_edge.training.pretrain import PretrainSettings, settings_for
from aliaug_edge.training.procedural_pairs import draw_batch, drawn_appearances
from aliaug_edge.training.step import train_step

SETTINGS = PretrainSettings(
    steps=6,
    coarse_steps=3,
    crop=48,
    coarse_crop=32,
    batch_size=2,
    pairs=24,
    adversarial_from=2,
    seed=3,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretraining that was stopped after four steps and then continued to its end."""
    root = tmp_path_factory.mktemp("pretrain") / "run"
    steps, settings = [], loop.LoopSettings
    inner = train_step

    def stop(*arguments: object, **named: object) -> object:
        if len(steps) == 4:
            raise KeyboardInterrupt
        steps.append(1)
        return inner(*arguments, **named)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            pretrain, "LoopSettings", lambda **k: settings(**{**k, "checkpoint_every": 2})
        )
        with pytest.MonkeyPatch.context() as interrupted:
            stopping = functools.partial(loop.run_loop, step_once=stop)
            interrupted.setattr(pretrain, "run_loop", stopping)
            with pytest.raises(KeyboardInterrupt):
                pretrain.pretrain(SETTINGS, root, progress=False)
        pretrain.pretrain(SETTINGS, root, progress=False)
    return root


@pytest.fixture(scope="module")
def cache(folder: Path) -> PairCache:
    return pair_cache(folder / "pairs", SETTINGS.pairs, SETTINGS.crop, SETTINGS.seed)


def test_the_base_loads_with_its_convolutions(folder: Path) -> None:
    base = load_base(str(folder / "base"))
    assert base.extras_conditioning == "light"
    assert base.unet.config.in_channels == 4
    assert base.alpha_bar**0.5 == pytest.approx(0.9, abs=0.01)
    generator = generator_from(base, "light")
    assert generator.unet.conv_in.in_channels > 4
    assert bool(extras_of(generator)["skips.4.weight"].any())
    ids = [tuple(base.tokenizer(class_prompt(name)).input_ids) for name in DEFECT_CLASSES]
    assert len(set(ids)) == len(DEFECT_CLASSES)
    assert {len(i) for i in ids} == {4}  # start, "a", the class as one token, end


def test_it_went_on_where_it_had_stopped(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert all(np.isfinite(row["loss"]) for row in rows)
    recipe = json.loads((folder / "pretrain.json").read_text())
    assert recipe["settings"]["pairs"] == 24


def test_a_finished_pretraining_again_changes_nothing(folder: Path) -> None:
    before = {p: p.read_bytes() for p in (folder / "base").rglob("*") if p.is_file()}
    assert pretrain.pretrain(SETTINGS, folder, progress=False) == folder / "base"
    assert {p: p.read_bytes() for p in (folder / "base").rglob("*") if p.is_file()} == before


def test_other_settings_in_the_same_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="pretraining with other settings"):
        pretrain.pretrain(replace(SETTINGS, seed=4), folder, progress=False)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match="not a pretraining"):
        pretrain.pretrain(SETTINGS, tmp_path, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_pairs_differ_under_the_mask_alone(cache: PairCache) -> None:
    changed = (cache.good != cache.defect).any(axis=3)
    assert not changed[cache.mask == 0].any()
    assert (changed.sum(axis=(1, 2)) > 0).all()
    assert cache.defect_class.max() < len(DEFECT_CLASSES)
    assert cache.material.max() < len(MATERIALS)
    assert 0 <= cache.severity.min() <= cache.severity.max() <= 1


def test_a_batch_depends_on_seed_and_step_alone(cache: PairCache) -> None:
    def draw(step: int, seed: int = 0) -> torch.Tensor:
        return draw_batch(cache, step, seed=seed, size=4, crop=32).image

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert not torch.equal(draw(1), draw(1, seed=1))


def test_a_batch_shows_every_kind_of_sample(cache: PairCache) -> None:
    batch = draw_batch(cache, 0, seed=0, size=64, crop=32)
    assert batch.image.shape == batch.target.shape == (64, 3, 32, 32)
    assert batch.paired.all()
    assert batch.mask.sum(dim=(1, 2, 3)).all()
    assert set(batch.class_index.tolist()) == set(cache.defect_class.tolist())
    colours = torch.tensor([class_colour(i) for i in batch.class_index.tolist()])
    named = (batch.colour != 1).any(dim=1)
    assert torch.equal(batch.colour[named], colours[named])
    by_colour = (batch.colour != 1).any(dim=1)
    assert 8 < int(by_colour.sum()) < 56
    for index, prompt in enumerate(batch.prompts):
        assert (prompt == "add a defect") == bool(by_colour[index])
        where = batch.mask[index].expand(3, -1, -1) == 0
        assert torch.equal(batch.image[index][where], batch.target[index][where])


def test_defects_are_shown_in_more_ways_than_they_were_drawn(cache: PairCache) -> None:
    """Other colours, another tone; some defects stronger, some of a colour of their own."""
    batch = draw_batch(cache, 0, seed=0, size=128, crop=32)
    drawn = drawn_appearances(cache, len(cache.severity))
    levels = np.concatenate([rows[:, 1:4] for rows in drawn.values()])
    shown = appearance_of(batch.target, batch.mask)[:, :3].numpy()
    assert shown.min() < levels.min() - 0.2
    assert np.ptp(shown, axis=1).max() > 2 * np.ptp(levels, axis=1).max()
    assert batch.target.abs().max() <= 1


def test_drawn_appearances_are_those_of_each_class(cache: PairCache) -> None:
    drawn = drawn_appearances(cache, 2)
    assert list(drawn) == list(DEFECT_CLASSES)
    for index, name in enumerate(DEFECT_CLASSES):
        first = np.flatnonzero(cache.defect_class == index)[:2]
        assert drawn[name].shape == (len(first), 1 + NUMBERS)
        assert drawn[name][:, 0] == pytest.approx(cache.severity[first])
        for at, row in zip(first, drawn[name], strict=True):
            image = torch.tensor(cache.defect[at]).permute(2, 0, 1)[None] / 127.5 - 1
            mask = torch.tensor(cache.mask[at] > 0)[None, None].float()
            assert row[1:] == pytest.approx(appearance_of(image, mask)[0].numpy(), abs=1e-4)


def test_the_base_knows_what_its_defects_looked_like(folder: Path, cache: PairCache) -> None:
    wanted = drawn_appearances(cache, pretrain.APPEARANCES_PER_CLASS)
    known = load_base(str(folder / "base")).appearances
    assert list(known) == sorted(DEFECT_CLASSES)
    for name, rows in known.items():
        assert rows == pytest.approx(wanted[name], abs=1e-4)


def test_crops_look_at_the_defect(cache: PairCache) -> None:
    """A masked pixel lies in the middle half of every crop, where the photo's border allows it."""
    batch = draw_batch(cache, 0, seed=0, size=64, crop=24)
    middle = batch.mask[..., 6:18, 6:18].sum(dim=(1, 2, 3)) > 0
    assert middle.float().mean() > 0.8


def test_a_recipe_scaled_to_fewer_steps_keeps_its_phases() -> None:
    whole = PretrainSettings()
    scaled = settings_for(whole.steps // 10, 100, 4, "full", 1)
    assert scaled.coarse_steps / scaled.steps == pytest.approx(
        whole.coarse_steps / whole.steps, abs=0.01
    )
    assert scaled.adversarial_from == pytest.approx(whole.adversarial_from / 10, abs=1)
    assert (scaled.conditioning, scaled.pairs, scaled.batch_size, scaled.seed) == (
        "full",
        100,
        4,
        1,
    )


def test_an_unknown_conditioning_is_refused() -> None:
    with pytest.raises(AliAugError, match="conditioning 'heavy': expected paper, full, light"):
        settings_for(10, 10, 1, "heavy", 0)


@pytest.mark.parametrize(
    "steps, pairs, batch_size, seed", [(0, 1, 1, 0), (1, 0, 1, 0), (1, 1, 0, 0), (1, 1, 1, -1)]
)
def test_numbers_that_make_no_sense_are_refused(
    steps: int, pairs: int, batch_size: int, seed: int
) -> None:
    with pytest.raises(AliAugError, match="expected"):
        settings_for(steps, pairs, batch_size, "light", seed)
