"""The base inside the package: prompt and colour both name the class, and mean the same by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from aliaug_edge.appearances import drawn
from aliaug_edge.data.procedural import DEFECT_CLASSES, render_pair
from aliaug_edge.model.appearance import appearance_of
from aliaug_edge.model.base import generator_from, load_base
from aliaug_edge.model.conditioning import APPEARANCE
from aliaug_edge.model.text import COLOUR_PROMPT, class_embeddings, class_prompt
from aliaug_edge.training.batch import WHITE, class_colour, seeded

SEEDS = range(60, 66)
SEVERITY = 0.8
COUNT = len(DEFECT_CLASSES)


@pytest.fixture(scope="module")
def changes() -> dict[str, Tensor]:
    """Mean change under the mask in grey levels (seeds, classes), asked by each carrier."""
    base = load_base("tiny")
    generator = generator_from(base, "light").eval()
    prompts = {
        "text": [class_prompt(name) for name in DEFECT_CLASSES],
        "colour": [COLOUR_PROMPT] * COUNT,
    }
    colours = {
        "text": torch.tensor([WHITE] * COUNT),
        "colour": torch.tensor([class_colour(index) for index in range(COUNT)]),
    }
    found: dict[str, list[Tensor]] = {"text": [], "colour": []}
    for seed in SEEDS:
        pair = render_pair(seed, 64, 64)
        image = torch.from_numpy(pair.good.astype(np.float32)).permute(2, 0, 1) / 127.5 - 1
        mask = torch.from_numpy((pair.mask > 0).astype(np.float32))[None]
        noise = torch.randn(1, 4, 8, 8, generator=seeded(seed))
        grain = torch.randn(1, 1, 64, 64, generator=seeded(seed))
        looks = [drawn(base.appearances[name], SEVERITY, seed) for name in DEFECT_CLASSES]
        for carrier, means in found.items():
            embeds = class_embeddings(base.tokenizer, base.text_encoder, prompts[carrier])
            with torch.no_grad():
                output = generator(
                    image.expand(COUNT, -1, -1, -1),
                    mask.expand(COUNT, -1, -1, -1),
                    colours[carrier],
                    noise.expand(COUNT, -1, -1, -1),
                    grain.expand(COUNT, -1, -1, -1),
                    torch.full((COUNT, 1), SEVERITY),
                    torch.from_numpy(np.stack(looks)),
                    embeds,
                )
            change = ((output - image) * mask).sum(dim=(1, 2, 3)) / (3 * mask.sum())
            means.append(127.5 * change)
    return {carrier: torch.stack(means) for carrier, means in found.items()}


@pytest.mark.parametrize("carrier", ["text", "colour"])
def test_the_class_moves_the_pixels_by_either_carrier(
    changes: dict[str, Tensor], carrier: str
) -> None:
    means = changes[carrier].mean(dim=0)
    assert means.max() - means.min() > 10  # grey levels
    crack, scratch = (DEFECT_CLASSES.index(name) for name in ("crack", "scratch"))
    assert means[crack] < means[scratch] - 10


def test_prompt_and_colour_mean_the_same_class(changes: dict[str, Tensor]) -> None:
    text, colour = (changes[carrier].mean(dim=0) for carrier in ("text", "colour"))
    assert torch.corrcoef(torch.stack([text, colour]))[0, 1] > 0.7


def test_the_right_prompt_comes_nearest_to_the_defect_that_was_drawn() -> None:
    """Mean error under the mask: of the class's own prompt, and of the other classes'."""
    base = load_base("tiny")
    generator = generator_from(base, "light").eval()
    prompts = [class_prompt(name) for name in DEFECT_CLASSES]
    embeds = class_embeddings(base.tokenizer, base.text_encoder, prompts)
    right, wrong = [], []
    for seed in range(500, 512):
        pair = render_pair(seed, 64, 64)
        good, defect = (
            torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
            for image in (pair.good, pair.defect)
        )
        mask = torch.from_numpy((pair.mask > 0).astype(np.float32))[None, None]
        looks = appearance_of(defect, mask)
        with torch.no_grad():
            output = generator(
                good.expand(COUNT, -1, -1, -1),
                mask.expand(COUNT, -1, -1, -1),
                torch.tensor([WHITE] * COUNT),
                torch.randn(1, 4, 8, 8, generator=seeded(seed)).expand(COUNT, -1, -1, -1),
                torch.randn(1, 1, 64, 64, generator=seeded(seed)).expand(COUNT, -1, -1, -1),
                torch.full((COUNT, 1), pair.severity),
                looks.expand(COUNT, -1),
                embeds,
            )
        errors = ((output - defect).abs() * mask).sum(dim=(1, 2, 3)) / (3 * mask.sum())
        own = DEFECT_CLASSES.index(pair.defect_class)
        right.append(errors[own])
        wrong.append((errors.sum() - errors[own]) / (COUNT - 1))
    assert torch.stack(right).mean() < 0.9 * torch.stack(wrong).mean()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_level_that_is_asked_for_comes(number: int) -> None:
    """Of each channel by itself: darker where darker is asked for, the others about the same."""
    base = load_base("tiny")
    generator = generator_from(base, "light").eval()
    embeds = class_embeddings(base.tokenizer, base.text_encoder, [class_prompt("stain")])
    pair = render_pair(61, 64, 64)
    image = torch.from_numpy(pair.good.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    mask = torch.from_numpy((pair.mask > 0).astype(np.float32))[None, None]
    asked = torch.zeros(2, APPEARANCE)
    asked[1, number] = -1.0
    with torch.no_grad():
        output = generator(
            image.expand(2, -1, -1, -1),
            mask.expand(2, -1, -1, -1),
            torch.tensor([WHITE] * 2),
            torch.randn(1, 4, 8, 8, generator=seeded(1)).expand(2, -1, -1, -1),
            torch.randn(1, 1, 64, 64, generator=seeded(1)).expand(2, -1, -1, -1),
            torch.full((2, 1), 0.6),
            asked,
            embeds.expand(2, -1, -1),
        )
    came = appearance_of(output, mask.expand(2, -1, -1, -1))
    change = (came[1] - came[0])[:3]
    assert change[number] < -0.5
    assert change[number] < change.min() + 1e-6
    assert all(abs(change[other]) < 0.3 for other in range(3) if other != number)
