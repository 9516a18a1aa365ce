"""Pixels to what a model takes, and back."""

from __future__ import annotations

import numpy as np
import pytest
from support.pictures import noise

from aliaug_edge import imaging


def test_all_levels_survive_the_way_to_the_tensor_and_back() -> None:
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    tensor = imaging.images_to_tensor(images)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert (tensor.min(), tensor.max()) == (-1, 1)
    np.testing.assert_array_equal(imaging.tensor_to_images(tensor), images)


def test_channels_and_places_keep_their_order() -> None:
    images = noise(4, 6)[None]
    tensor = imaging.images_to_tensor(images)
    assert tensor[0, 2, 3, 5] == pytest.approx(images[0, 3, 5, 2] / 127.5 - 1, abs=1e-6)


def test_values_beyond_the_range_are_clipped() -> None:
    tensor = np.array([-3, 0, 3], dtype=np.float32).reshape(1, 3, 1, 1)
    assert imaging.tensor_to_images(tensor).ravel().tolist() == [0, 128, 255]


def test_masks_become_zeros_and_ones() -> None:
    masks = np.array([[[0, 255]], [[255, 0]]], dtype=np.uint8)
    tensor = imaging.masks_to_tensor(masks)
    assert tensor.shape == (2, 1, 1, 2)
    assert tensor.dtype == np.float32
    assert tensor.ravel().tolist() == [0, 1, 1, 0]
