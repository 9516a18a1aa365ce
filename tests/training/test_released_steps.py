"""The released trainer's step and habits, as the benchmarks put them beside ours."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from aliaug_edge.training.batch import Batch
from aliaug_edge.training.losses import LossWeights
from aliaug_edge.training.step import Learner, train_step
from aliaug_edge.training.trainer import train
from benchmarks import released
from benchmarks.released import Habits, released_step, step_with
from tests.support.steps import changed, conditions, values
from tests.training.conftest import NewConfig


def stepped(learner: Learner, batch: Batch, **habits: bool) -> dict[str, float]:
    step = step_with(Habits(**habits))
    return step(learner, batch, *conditions(batch), adversarial=True)[0]


class Watched(nn.Module):
    """A discriminator that remembers what it was shown."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.shown: list[tuple[Tensor, ...]] = []

    def forward(self, *given: Tensor) -> object:
        self.shown.append(given)
        return self.inner(*given)


def forwards(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The images that the generator is given from now on, one entry a forward."""
    inner, given = learner.generator.forward_parts, []

    def watch(image: Tensor, *rest: Tensor) -> object:
        given.append(image)
        return inner(image, *rest)

    monkeypatch.setattr(learner.generator, "forward_parts", watch)
    return given


def test_without_any_habit_the_step_is_ours() -> None:
    assert step_with(Habits()) is train_step


def test_a_habit_that_is_not_seen_changes_nothing(learner: Learner, batch: Batch) -> None:
    """A short gradient is not clipped anyway: what is left of the step is ours."""
    none = dict.fromkeys(("preserve", "inside", "histogram", "appearance", "perceptual"), 0.0)
    unheard = dict.fromkeys(("adversarial", "matching", "classified"), 0.0)
    learner.weights = LossWeights(**none, **unheard, gradient=1e-6)
    state = values(learner.parameters)
    ours = train_step(learner, batch, *conditions(batch), adversarial=True)[0]
    after = values(learner.parameters)
    with torch.no_grad():
        for parameter, value in zip(learner.parameters, state, strict=True):
            parameter.copy_(value)
    learner.optimizer.state.clear()
    theirs = stepped(learner, batch, unclipped=True)
    assert theirs["loss"] == ours["loss"]
    assert not changed(learner.parameters, after)


def test_a_second_forward_answers_the_discriminator(
    learner: Learner, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = forwards(learner, monkeypatch)
    stepped(learner, batch)
    assert len(given) == 1
    stepped(learner, batch, second_forward=True)
    assert len(given) == 1 + 2


@pytest.mark.parametrize(("unclipped", "most"), [(False, 1.0), (True, float("inf"))])
def test_gradients_are_as_long_as_they_are_where_they_are_not_clipped(
    learner: Learner, batch: Batch, unclipped: bool, most: float
) -> None:
    learner.weights = LossWeights(preserve=1e4)
    found = stepped(learner, batch, unclipped=unclipped, leaking=True)
    norm = torch.cat([p.grad.flatten() for p in learner.parameters if p.grad is not None]).norm()
    assert found["grad_norm"] > 1
    assert float(norm) == pytest.approx(min(found["grad_norm"], most), rel=1e-4)


@pytest.mark.parametrize("leaking", [False, True])
def test_leaking_gradients_lie_in_the_discriminator_before_its_own_step(
    learner: Learner, batch: Batch, monkeypatch: pytest.MonkeyPatch, leaking: bool
) -> None:
    seen: list[bool] = []

    def stop(learner: Learner, *_: object, fresh: bool) -> dict[str, float]:
        assert fresh is not leaking
        seen.extend(p.grad is not None for p in learner.discriminator.parameters())
        return {}

    monkeypatch.setattr(released, "update_discriminator", stop)
    stepped(learner, batch, leaking=leaking, unclipped=True)
    assert any(seen) is leaking


def test_what_leaked_is_stepped_with_once_and_then_gone(learner: Learner, batch: Batch) -> None:
    before = values(learner.discriminator.parameters())
    stepped(learner, batch, leaking=True)
    assert changed(learner.discriminator.parameters(), before)
    assert all(p.grad is None for p in learner.discriminator.parameters())


def test_without_masks_neither_losses_nor_discriminator_know_where_the_defect_is(
    learner: Learner, batch: Batch
) -> None:
    learner.discriminator = Watched(learner.discriminator)  # type: ignore[assignment]
    found = stepped(learner, batch, maskless=True)
    shown = learner.discriminator.shown  # type: ignore[attr-defined]
    assert all(bool((masks == 1).all()) for _, _, masks, _ in shown)
    assert found["preserve"] == 0  # there is no outside
    assert "appearance" not in found


def test_another_background_shows_the_generator_the_neighbour_s_photo(
    learner: Learner, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = forwards(learner, monkeypatch)
    stepped(learner, batch, other_background=True)
    assert torch.equal(given[0][1:], batch.image[:-1])
    assert torch.equal(given[0][0], batch.image[-1])


def test_the_released_step_forwards_twice_and_lets_gradients_leak(
    learner: Learner, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = forwards(learner, monkeypatch)
    seen: list[bool] = []
    inner = learner.discriminator_optimizer.step

    def watch(*_: object) -> None:
        seen.append(all(p.grad is not None for p in learner.discriminator.mix.parameters()))
        inner()

    monkeypatch.setattr(learner.discriminator_optimizer, "step", watch)
    before = values(learner.parameters), values(learner.discriminator.parameters())
    metrics, output = released_step(learner, batch, *conditions(batch), adversarial=False)
    assert len(given) == 2
    assert seen == [True, True]  # on real ones, then on made ones
    assert changed(learner.parameters, before[0])
    assert changed(learner.discriminator.parameters(), before[1])
    assert {"loss", "adversarial", "discriminator"} == set(metrics)
    assert output.shape == batch.image.shape


def test_a_run_can_be_trained_with_another_step(new_config: NewConfig, tmp_path: Path) -> None:
    counted = []

    def step(*given: object, **when: object) -> object:
        counted.append(when)
        return train_step(*given, **when)  # type: ignore[arg-type]

    config = new_config(adversarial_from=0.5)
    train(config, tmp_path / "counted", step_once=step, progress=False)  # type: ignore[arg-type]
    assert [when["adversarial"] for when in counted] == [False, False, True, True]
    train(config, tmp_path / "ours", progress=False)
    files = [tmp_path / name / "conditioning.safetensors" for name in ("counted", "ours")]
    assert files[0].read_bytes() == files[1].read_bytes()
    train(config, tmp_path / "released", step_once=released_step, progress=False)
    assert (tmp_path / "released" / "conditioning.safetensors").read_bytes() != files[
        1
    ].read_bytes()
