"""Masks made smaller without losing what is thin.

A plain threshold either drops thin lines or, when it is low enough to keep them, swells everything
else. So pixels that are covered by a quarter stay; of the others that the mask touches, those go
without which the shape still hangs together, faintest first. What remains of a hairline is a line
of one pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
Ints = NDArray[np.intp]

_THIN, _SOLID = 1, 2


def shrunk(mask: UInt8, size_hw: tuple[int, int]) -> UInt8:
    """`mask` (H, W) of 0 and not 0 at `size_hw`, at most (H, W): uint8 of 0 and 255.

    Every 8-connected component stays alive and in one piece (neighbours closer than a pixel of the
    result may join); no pixel is marked that the mask does not touch.
    """
    rows, columns = _starts(mask.shape[0], size_hw[0]), _starts(mask.shape[1], size_hw[1])
    counts = np.add.reduceat(mask > 0, rows, axis=0, dtype=np.intp)
    counts = np.add.reduceat(counts, columns, axis=1)
    sizes = np.outer(np.diff(rows, append=mask.shape[0]), np.diff(columns, append=mask.shape[1]))
    solid = 4 * counts >= sizes
    cells = np.zeros((size_hw[0] + 2, size_hw[1] + 2), dtype=np.uint8)  # a border spares checks
    cells[1:-1, 1:-1] = np.where(solid, _SOLID, np.where(counts > 0, _THIN, 0))
    kept = _thinned(cells, np.pad(counts / sizes, 1))
    return np.where(kept[1:-1, 1:-1] > 0, 255, 0).astype(np.uint8)


def _starts(length: int, cells: int) -> Ints:
    """The first source pixel of each cell; a pixel belongs to the cell in which its centre lies,
    as for Pillow's BOX, which shrinks the image."""
    starts: Ints = (2 * np.arange(cells, dtype=np.intp) * length + cells) // (2 * cells)
    return starts


def _thinned(cells: UInt8, coverage: NDArray[np.float64]) -> UInt8:
    """`cells` (h, w) without the thin ones that neither connect others nor end a thin line."""
    stride = cells.shape[1]
    ring = [1, 1 - stride, -stride, -1 - stride, -1, stride - 1, stride, stride + 1]
    thin = np.flatnonzero(cells == _THIN)
    order = thin[np.argsort(coverage.ravel()[thin], kind="stable")]
    flat = bytearray(cells.tobytes())
    for at in order.tolist():
        around = [flat[at + step] for step in ring]
        code = sum(1 << place for place, value in enumerate(around) if value)
        if _SIMPLE[code] and not (code.bit_count() == 1 and max(around) == _THIN):
            flat[at] = 0
    return np.frombuffer(flat, dtype=np.uint8).reshape(cells.shape)


def _is_simple(code: int) -> bool:
    """Whether a pixel with these neighbours (bit i: the i-th of the ring, from the right, counter-
    clockwise) can go without parting, joining or ending anything: Yokoi's number for 8-connected
    shapes is 1."""
    empty = [not code >> place & 1 for place in range(8)]
    return (
        sum(empty[k] and not (empty[(k + 1) % 8] and empty[(k + 2) % 8]) for k in (0, 2, 4, 6)) == 1
    )


_SIMPLE = bytes(_is_simple(code) for code in range(256))
