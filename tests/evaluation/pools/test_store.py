"""The store: photos come back as they were, and a damaged pool is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aliaug_edge.errors import DataError, OutputError
from aliaug_edge.evaluation.detecting import shrunk
from aliaug_edge.evaluation.pools.cutpaste import cutpaste
from aliaug_edge.evaluation.pools.store import load_pool, save_pool
from aliaug_edge.imaging import is_marked_synthetic


@pytest.fixture
def photos(goods, colour_goods):
    return cutpaste([*goods[:2], *colour_goods[2:4]], 4, 0)


def test_photos_come_back_as_they_were_and_in_order(photos, tmp_path):
    save_pool(photos, tmp_path / "pools" / "cutpaste")
    loaded = load_pool(tmp_path / "pools" / "cutpaste")
    for a, b in zip(photos, loaded, strict=True):
        assert (a.name, a.defect_class, a.group) == (b.name, b.defect_class, b.group)
        assert np.array_equal(a.image, b.image)
        assert np.array_equal(a.mask, b.mask)


def test_equal_pools_are_equal_bytes_and_their_images_say_that_they_are_synthetic(photos, tmp_path):
    contents = []
    for name in ("a", "b"):
        save_pool(photos, tmp_path / name)
        paths = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        contents.append([(p.relative_to(tmp_path / name), p.read_bytes()) for p in paths])
    assert contents[0] == contents[1]
    assert len(contents[0]) == 2 * len(photos) + 1
    assert all(is_marked_synthetic(p) for p in sorted((tmp_path / "a/images").iterdir()))


def test_notes_stand_in_the_index_and_do_not_disturb_the_photos(photos, tmp_path):
    save_pool(photos, tmp_path / "pool", ["2 of 9 defects are left out"])
    index = json.loads((tmp_path / "pool" / "index.json").read_text())
    assert index["notes"] == ["2 of 9 defects are left out"]
    assert len(load_pool(tmp_path / "pool")) == len(photos)


def test_photos_are_fitted_one_at_a_time_as_they_are_read(photos, tmp_path):
    save_pool(photos, tmp_path / "pool")
    small = load_pool(tmp_path / "pool", lambda photo: shrunk(photo, 64))
    assert [max(photo.image.shape) for photo in small] == [64] * len(photos)


def test_an_empty_pool_is_a_pool(tmp_path):
    save_pool([], tmp_path / "none")
    assert load_pool(tmp_path / "none") == []


def test_a_folder_in_use_is_not_overwritten(photos, tmp_path):
    save_pool(photos, tmp_path / "pool")
    with pytest.raises(OutputError, match="not an empty folder"):
        save_pool(photos[:1], tmp_path / "pool")
    assert len(load_pool(tmp_path / "pool")) == len(photos)


def without(path):
    path.unlink()


def halved(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("harm", [without, halved])
@pytest.mark.parametrize("file", ["index.json", "images/000002.png", "masks/000000.png"])
def test_a_damaged_pool_is_refused_with_one_line(harm, file, photos, tmp_path):
    save_pool(photos, tmp_path / "pool")
    harm(tmp_path / "pool" / file)
    refused(tmp_path / "pool")


def test_swapped_masks_are_noticed(photos, tmp_path):
    save_pool(photos, tmp_path / "pool")
    masks = tmp_path / "pool" / "masks"
    (masks / "000000.png").write_bytes((masks / "000001.png").read_bytes())
    refused(tmp_path / "pool")


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": 99, "photos": []}', "\xff"])
def test_an_index_of_another_kind_is_refused(text, tmp_path):
    (tmp_path / "index.json").write_text(text, encoding="latin-1")
    refused(tmp_path)


def test_an_index_row_without_its_name_is_refused(photos, tmp_path):
    save_pool(photos, tmp_path / "pool")
    index = tmp_path / "pool" / "index.json"
    document = json.loads(index.read_text())
    del document["photos"][1]["name"]
    index.write_text(json.dumps(document))
    refused(tmp_path / "pool")


def refused(folder):
    with pytest.raises(DataError, match="not a whole pool") as caught:
        load_pool(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
