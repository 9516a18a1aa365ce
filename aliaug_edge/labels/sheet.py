"""The contact sheet: good | mask | generated | difference ×4, a row per sample, with captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from aliaug_edge import files, imaging

NAME = "contact_sheet.png"
MOST_ROWS = 24
CELL_PX = 192  # longest side of a picture; smaller ones are shown as they are
GAIN = 4
TITLES = ("good", "mask", "generated", f"difference x{GAIN}")  # the font has no ×
_GAP, _LINE = 8, 16
_PAPER, _INK, _MUTED = (250, 250, 249), (28, 28, 30), (110, 110, 115)


@dataclass(frozen=True, eq=False)
class SheetRow:
    """`source` and `generated` are (H, W, 3) uint8, `mask` (H, W) uint8 of 0 and 255."""

    source: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    generated: NDArray[np.uint8]
    caption: str


def write_contact_sheet(out_dir: Path, rows: Sequence[SheetRow]) -> Path:
    """Write `out_dir`/contact_sheet.png and return its path; of many rows, 24 spread evenly.

    Raises:
        OutputError: the file cannot be written.
    """
    path = out_dir / NAME
    files.write_bytes(path, imaging.encode_png(draw_sheet(rows), synthetic=True))
    return path


def draw_sheet(rows: Sequence[SheetRow]) -> NDArray[np.uint8]:
    """The sheet as (H, W, 3) uint8."""
    strips = [_pictures(row) for row in spread(rows, MOST_ROWS)]
    cell = max((p.width for strip in strips for p in strip), default=CELL_PX)
    heights = [max(p.height for p in strip) + _LINE + _GAP for strip in strips]
    width = _GAP + len(TITLES) * (cell + _GAP)
    sheet = Image.new("RGB", (width, _GAP + _LINE + sum(heights)), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    lefts = [_GAP + number * (cell + _GAP) for number in range(len(TITLES))]
    for left, title in zip(lefts, TITLES, strict=True):
        draw.text((left, _GAP // 2), title, fill=_MUTED, font=font)
    top = _GAP + _LINE
    for row, strip, height in zip(spread(rows, MOST_ROWS), strips, heights, strict=True):
        for left, picture in zip(lefts, strip, strict=True):
            sheet.paste(picture, (left, top))
        draw.text((_GAP, top + height - _LINE - _GAP + 1), row.caption, fill=_INK, font=font)
        top += height
    return np.asarray(sheet)


def amplified_difference(
    source: NDArray[np.uint8], generated: NDArray[np.uint8], gain: int = GAIN
) -> NDArray[np.uint8]:
    """`gain` times the absolute difference per channel, clipped to 255, (H, W, 3) uint8."""
    difference = np.abs(generated.astype(np.int16) - source.astype(np.int16))
    amplified: NDArray[np.uint8] = np.clip(difference * gain, 0, 255).astype(np.uint8)
    return amplified


def spread(rows: Sequence[SheetRow], most: int) -> list[SheetRow]:
    """At most `most` of `rows`, evenly spaced, first and last included."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def _pictures(row: SheetRow) -> list[Image.Image]:
    difference = amplified_difference(row.source, row.generated)
    pictures = [
        Image.fromarray(array) for array in (row.source, row.mask, row.generated, difference)
    ]
    for picture in pictures:
        picture.thumbnail((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
    return [picture.convert("RGB") for picture in pictures]
