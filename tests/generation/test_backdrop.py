"""Which rule tells parts from what lies behind them: only what real defects bear out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from aliaug_edge.generation.backdrop import choose
from aliaug_edge.generation.part import borne_backdrops, part_mask

HW = (160, 200)
Y, X = np.mgrid[: HW[0], : HW[1]]


def spot(y: int, x: int, radius: int = 8) -> np.ndarray:
    return np.where(np.hypot(Y - y, X - x) < radius, 255, 0).astype(np.uint8)


def photo(values: np.ndarray, seed: int) -> np.ndarray:
    """(H, W) grey levels as a camera sees them."""
    noisy = values + np.random.default_rng(seed).normal(0, 2, HW)
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def on_uneven_backdrop(seed: int = 0, light: float = 190) -> tuple[np.ndarray, np.ndarray]:
    """A grained part on a backdrop whose light falls off to two thirds in the corners."""
    part = (np.abs(Y - 80) < 45) & (np.abs(X - 105) < 60)
    soft = Image.fromarray((part * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    weight = np.asarray(soft) / 255
    fall = 1 - 0.33 * np.hypot((Y - 80) / 80, (X - 100) / 100) ** 2 / 2
    grain = np.random.default_rng(seed + 50).normal(90, 25, (HW[0] // 4, HW[1] // 4))
    surface = np.kron(grain, np.ones((4, 4)))
    return photo(surface * weight + light * fall * (1 - weight), seed), part


def printed(seed: int = 0) -> np.ndarray:
    """An even surface in falling light, with print on it."""
    values = 170 - 50.0 * X / HW[1]
    for k in range(5):
        values[50:110, 60 + 16 * k : 70 + 16 * k] = 20
    values[50:60, 60:134] = 20
    return photo(values, seed)


def test_falling_light_hides_a_backdrop_from_the_plain_rule_and_not_from_the_uneven_one() -> None:
    image, part = on_uneven_backdrop()
    assert part_mask(image, "plain").all()
    found = part_mask(image, "uneven")
    assert (found & part).sum() / part.sum() > 0.95
    assert (found & ~part).sum() / (~part).sum() < 0.1


def test_a_plain_backdrop_is_found_by_both_rules_and_by_none_of_them_when_told_so() -> None:
    part = np.hypot(Y - 80, X - 100) < 50
    image = photo(np.where(part, 150, 10), 0)
    assert ((part_mask(image, "plain") == part).mean()) > 0.97
    assert ((part_mask(image, "uneven") == part).mean()) > 0.97
    assert part_mask(image, "none").all()


@pytest.mark.parametrize("side", range(4))
def test_a_dark_blurred_background_beside_a_rough_part_is_found(side: int) -> None:
    grain = np.kron(np.random.default_rng(3).normal(140, 30, (40, 50)), np.ones((4, 4)))
    image = photo(np.where(X < 60, 30 + 30 * Y / HW[0], grain), 1)
    found = part_mask(np.rot90(image, side).copy(), "uneven")
    assert (found == np.rot90(X >= 60, side)).mean() > 0.95
    assert part_mask(np.rot90(image, side).copy(), "plain").all()


def test_close_ups_are_all_part_whatever_the_rule() -> None:
    rng = np.random.default_rng(5)
    grain = np.kron(rng.normal(120, 30, (40, 50)), np.ones((4, 4)))
    for values in (grain, 60 + 150.0 * X / HW[1], np.full(HW, 90.0)):
        assert part_mask(photo(values, 2), "uneven").all()


def test_real_defects_on_the_part_bear_the_bold_rule_out() -> None:
    borne = [borne_backdrops(on_uneven_backdrop(k)[0], spot(80, 80 + 5 * k)) for k in range(6)]
    assert choose(borne) == "uneven"


def test_print_is_no_part_because_real_defects_lie_beside_it() -> None:
    """Else every defect would be put on the print."""
    assert not part_mask(printed(), "uneven").all()
    borne = [borne_backdrops(printed(k), spot(25 + 2 * k, 30)) for k in range(6)]
    assert all("uneven" not in one and "plain" in one for one in borne)
    assert choose(borne) == "plain"


def test_a_plain_part_that_the_plain_rule_takes_for_background_is_all_part() -> None:
    values = np.full(HW, 200.0)
    values[50:120, 60:140] = 30  # a window in the part, in every photo
    borne = [borne_backdrops(photo(values, k), spot(20, 30 + 10 * k)) for k in range(6)]
    assert all(one == {"none"} for one in borne)
    assert choose(borne) == "none"


def test_a_chip_at_the_parts_edge_speaks_for_a_rule_and_not_against_it() -> None:
    image, part = on_uneven_backdrop()
    edge = int(np.flatnonzero(part[80])[0])
    assert "uneven" in borne_backdrops(image, spot(80, edge))
    assert "uneven" not in borne_backdrops(image, spot(80, edge - 25))


def test_one_photo_in_twenty_may_disagree_and_few_photos_cannot_vouch_for_the_bold_rule() -> None:
    every, plain = {"none", "plain", "uneven"}, {"none", "plain"}
    assert choose([every] * 19 + [plain]) == "uneven"
    assert choose([every] * 18 + [plain] * 2) == "plain"
    assert choose([every] * 4) == "plain"
    assert choose([{"none"}] * 3) == "none"
    assert choose([]) == "plain"
