import time

import numpy as np
import pytest

from aliaug_edge.components import components
from aliaug_edge.labels.contours import bridged, fill, signed_area, trace


def random_masks():
    random = np.random.default_rng(3)
    for density in (0.05, 0.3, 0.5, 0.7, 0.95):
        for _ in range(8):
            shape = tuple(random.integers(1, 24, size=2))
            yield random.random(shape) < density


def painted(found, shape):
    canvas = np.zeros(shape, dtype=np.uint8)
    for component in found:
        x, y, width, height = component.box_xywh
        canvas[y : y + height, x : x + width] += component.pixels
    return canvas


def test_filling_the_traced_polygons_gives_the_mask_back():
    for mask in random_masks():
        outlines, holes = trace(mask)
        assert np.array_equal(fill([*outlines, *holes], mask.shape), mask)


def test_one_bridged_polygon_per_component_gives_the_mask_back():
    for mask in random_masks():
        again = np.zeros_like(mask)
        for component in components(mask.astype(np.uint8)):
            outlines, holes = trace(component.pixels)
            assert len(outlines) == 1
            x, y, width, height = component.box_xywh
            patch = fill([bridged(outlines[0], holes)], (height, width))
            again[y : y + height, x : x + width] |= patch
        assert np.array_equal(again, mask)


def test_the_area_of_outline_less_holes_is_the_number_of_pixels():
    for mask in random_masks():
        outlines, holes = trace(mask)
        assert sum(map(signed_area, [*outlines, *holes])) == mask.sum()


def test_a_rectangle_has_four_corners_on_pixel_corners():
    mask = np.zeros((5, 6), dtype=bool)
    mask[1:3, 2:6] = True
    outlines, holes = trace(mask)
    assert not holes
    assert {tuple(p) for p in outlines[0]} == {(2, 1), (6, 1), (6, 3), (2, 3)}
    assert len(outlines[0]) == 4


def test_filling_takes_pixels_whose_centre_is_inside():
    triangle = np.array([[0, 0], [4, 0], [0, 4]], dtype=float)
    expected = [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert np.array_equal(fill([triangle], (4, 4)), np.array(expected, dtype=bool))


def test_what_lies_beyond_the_image_is_not_filled():
    square = np.array([[-3, -3], [9, -3], [9, 9], [-3, 9]], dtype=float)
    assert fill([square], (4, 5)).all()


def test_components_partition_the_mask_and_have_tight_boxes():
    for mask in random_masks():
        found = components(mask.astype(np.uint8) * 255)
        assert np.array_equal(painted(found, mask.shape), mask)
        for component in found:
            pixels = component.pixels
            assert pixels[0].any() and pixels[-1].any()
            assert pixels[:, 0].any() and pixels[:, -1].any()
            assert component.area == pixels.sum()


def test_components_agree_with_a_flood_fill():
    for mask in random_masks():
        assert len(components(mask.astype(np.uint8))) == flood_count(mask)


def flood_count(mask):
    left, count = {tuple(p) for p in np.argwhere(mask)}, 0
    while left:
        stack, count = [left.pop()], count + 1
        while stack:
            y, x = stack.pop()
            around = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= around
            stack += around
    return count


def test_pixels_that_touch_at_a_corner_are_one_component():
    assert len(components(np.eye(7, dtype=np.uint8))) == 1


def test_an_empty_mask_has_no_components_and_no_outline():
    empty = np.zeros((4, 4), dtype=np.uint8)
    assert components(empty) == []
    assert trace(empty > 0) == ([], [])


@pytest.mark.parametrize("shape", ["blobs", "spiral"])
def test_a_megapixel_mask_is_split_quickly(shape):
    y, x = np.mgrid[-1:1:1024j, -1:1:1024j]
    if shape == "blobs":
        mask = np.sin(60 * x) * np.sin(47 * y) > 0.2
    else:
        mask = np.sin(np.arctan2(y, x) + 200 * np.hypot(x, y)) > 0
    started = time.process_time()
    found = components(mask.astype(np.uint8))
    assert time.process_time() - started < 1.0  # about 0.1 s; room for a busy machine
    assert sum(component.area for component in found) == mask.sum()
