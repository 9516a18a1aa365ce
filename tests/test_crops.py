"""The crop around a mask: it shows the mask, and goes back where it came from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from aliaug_edge import crops
from aliaug_edge.crops import Window


def marked(height: int, width: int, box: Window) -> NDArray[np.uint8]:
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[box.top : box.top + box.height, box.left : box.left + box.width] = 255
    return mask


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_box_is_tight() -> None:
    box = Window(3, 5, 4, 2)
    assert crops.mask_box(marked(20, 10, box)) == box


def test_the_box_spans_all_parts_of_a_mask() -> None:
    mask = np.zeros((10, 12), dtype=np.uint8)
    mask[1, 2] = mask[8, 9] = 255
    assert crops.mask_box(mask) == Window(1, 2, 8, 8)


def test_an_empty_mask_has_no_box() -> None:
    with pytest.raises(ValueError, match="empty"):
        crops.mask_box(np.zeros((4, 4), dtype=np.uint8))


def test_the_smallest_size_that_leaves_context_is_chosen() -> None:
    sizes = [(256, 256), (128, 128)]
    assert crops.size_for(Window(0, 0, 85, 10), sizes) == (128, 128)
    assert crops.size_for(Window(0, 0, 86, 10), sizes) == (256, 256)
    assert crops.size_for(Window(0, 0, 900, 10), sizes) == (256, 256)


def test_a_window_shows_the_whole_box_and_stays_in_an_image_that_holds_it() -> None:
    random = np.random.default_rng(0)
    for _ in range(500):
        image_hw = tuple(int(n) for n in random.integers(60, 300, 2))
        height, width = (int(random.integers(1, n + 1)) for n in image_hw)
        top = int(random.integers(0, image_hw[0] - height + 1))
        left = int(random.integers(0, image_hw[1] - width + 1))
        box = Window(top, left, height, width)
        shift = tuple(float(s) for s in random.random(2))
        window = crops.window_around(
            box, (image_hw[0], image_hw[1]), (64, 64), (shift[0], shift[1])
        )
        assert window.height == window.width >= 64
        assert window.top <= top
        assert window.top + window.height >= top + height
        assert window.left <= left
        assert window.left + window.width >= left + width
        if window.height <= image_hw[0]:
            assert 0 <= window.top <= image_hw[0] - window.height
        if window.width <= image_hw[1]:
            assert 0 <= window.left <= image_hw[1] - window.width


def test_shift_moves_the_box_within_the_window() -> None:
    box = Window(100, 100, 10, 10)
    for shift, top in ((0.0, 100), (0.5, 73), (1.0, 46)):
        assert crops.window_around(box, (300, 300), (64, 64), (shift, shift)).top == top


def test_a_cut_inside_the_image_is_that_part_of_it() -> None:
    image = picture(20, 30)
    np.testing.assert_array_equal(crops.cut(image, Window(2, 3, 8, 9)), image[2:10, 3:12])


@pytest.mark.parametrize("pad", [4, 9, 37])
def test_beyond_the_border_a_cut_is_the_reflection(pad: int) -> None:
    image = picture(10, 12)
    expected = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
    window = Window(-pad, -pad, 10 + 2 * pad, 12 + 2 * pad)
    np.testing.assert_array_equal(crops.cut(image, window), expected)


def test_a_line_of_one_pixel_can_be_cut_beyond() -> None:
    assert (
        crops.cut(np.full((1, 3), 7, dtype=np.uint8), Window(-2, 0, 5, 3)).tolist() == [[7] * 3] * 5
    )


@pytest.mark.parametrize(
    "window", [Window(2, 3, 8, 9), Window(-4, -5, 40, 40), Window(15, 25, 9, 9)]
)
def test_putting_a_cut_back_changes_nothing(window: Window) -> None:
    image = picture(20, 30)
    canvas = image.copy()
    crops.put(canvas, window, crops.cut(image, window))
    np.testing.assert_array_equal(canvas, image)


def test_put_writes_the_window_and_nothing_else() -> None:
    canvas = np.zeros((6, 6), dtype=np.uint8)
    crops.put(canvas, Window(-1, 4, 3, 3), np.full((3, 3), 9, dtype=np.uint8))
    expected = np.zeros((6, 6), dtype=np.uint8)
    expected[:2, 4:] = 9
    np.testing.assert_array_equal(canvas, expected)


def test_resizing_to_the_same_size_is_the_same_array() -> None:
    image = picture(8, 9)
    assert crops.resize(image, (8, 9)) is image
    mask = marked(8, 9, Window(1, 1, 2, 2))
    assert crops.resize_mask(mask, (8, 9)) is mask


def test_shrinking_averages_areas() -> None:
    board = (np.indices((8, 8)).sum(axis=0) % 2 * 200).astype(np.uint8)
    assert (crops.resize(board, (4, 4)) == 100).all()


def test_growing_keeps_a_flat_colour() -> None:
    flat = np.full((5, 7, 3), (10, 20, 30), dtype=np.uint8)
    grown = crops.resize(flat, (10, 21))
    assert grown.shape == (10, 21, 3)
    assert (grown == (10, 20, 30)).all()


def test_a_hairline_survives_shrinking_by_three() -> None:
    mask = marked(90, 90, Window(0, 44, 90, 1))
    shrunk = crops.resize_mask(mask, (30, 30))
    assert set(np.unique(shrunk)) == {0, 255}
    assert shrunk.any(axis=1).all()


def test_a_grown_mask_keeps_its_share_of_the_image() -> None:
    grown = crops.resize_mask(marked(20, 20, Window(5, 5, 10, 10)), (80, 80))
    assert set(np.unique(grown)) == {0, 255}
    assert (grown > 0).mean() == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize(
    "window, seen",
    [
        (Window(2, 3, 5, 6), Window(2, 3, 5, 6)),
        (Window(-4, -1, 10, 10), Window(0, 0, 6, 9)),
        (Window(15, 25, 10, 10), Window(15, 25, 5, 5)),
        (Window(-10, -10, 60, 60), Window(0, 0, 20, 30)),
    ],
)
def test_the_part_inside_the_image_shows_no_reflection(window: Window, seen: Window) -> None:
    image = picture(20, 30)
    assert crops.inside(window, image.shape) == seen
    shown = crops.cut(image, seen)
    assert np.array_equal(
        shown, image[seen.top : seen.top + seen.height, seen.left : seen.left + seen.width]
    )
