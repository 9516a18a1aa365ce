import numpy as np

from aliaug_edge.imaging import is_marked_synthetic, load_image
from aliaug_edge.labels.sheet import (
    SheetRow,
    amplified_difference,
    draw_sheet,
    spread,
    write_contact_sheet,
)


def row(caption: str, hw=(60, 90)) -> SheetRow:
    source = np.full((*hw, 3), 120, dtype=np.uint8)
    mask = np.zeros(hw, dtype=np.uint8)
    mask[10:20, 10:30] = 255
    generated = source.copy()
    generated[mask > 0] = 80
    return SheetRow(source, mask, generated, caption)


def test_equal_rows_give_equal_bytes(tmp_path):
    rows = [row("000000 crack kept"), row("000001 stain rejected", (300, 200))]
    first = write_contact_sheet(tmp_path / "a", rows).read_bytes()
    assert write_contact_sheet(tmp_path / "b", rows).read_bytes() == first


def test_the_sheet_is_an_image_marked_as_synthetic(tmp_path):
    path = write_contact_sheet(tmp_path, [row("000000 crack")])
    assert path.name == "contact_sheet.png"
    assert load_image(path).shape[1] > 4 * 90
    assert is_marked_synthetic(path)


def test_the_difference_is_four_times_the_change():
    example = row("x")
    difference = amplified_difference(example.source, example.generated)
    assert set(np.unique(difference)) == {0, 160}


def test_of_many_rows_some_are_taken_evenly_with_both_ends():
    rows = [row(str(n), (4, 4)) for n in range(100)]
    taken = [int(r.caption) for r in spread(rows, 24)]
    assert len(taken) == 24
    assert taken[0] == 0 and taken[-1] == 99
    assert max(np.diff(taken)) - min(np.diff(taken)) <= 1


def test_a_sheet_without_rows_is_still_a_sheet():
    assert draw_sheet([]).shape[2] == 3
