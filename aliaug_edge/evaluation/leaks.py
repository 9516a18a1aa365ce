"""Test photos that were learned from, whatever they are called there and however they were saved.

Every test photo is compared by fingerprint with every train photo, turned and mirrored in all 8
ways: the `CANDIDATES` most alike on a coarse scale are laid over it (`alignment`) and correlated on
the fine one. Correlation alone would accuse two parts of one printed or machined design, so what
the photo shares with up to `CONTROLS` others of middling likeness, of either side, is taken off
both before they are correlated again. Fewer than `ENOUGH_CONTROLS` leave some of the design, so a
pair must then be alike by `SURELY_OWN`, or it is only told of; below `LEAST_CONTROLS` nothing is
sure but equal pixels. Other procedural designs, 4 to 40 train photos of each against 6, moved by
fractions of a pixel, in other light and grain, reach 0.57 with enough controls and 0.70 with fewer;
copies with JPEG q 50 or 60, some of them mirrored, keep 0.59 (faint grain) to 0.88.

Measured on the magnetic tiles (669 photos, the groups halved at random) and on two procedural
designs, each photographed 120 times with other grain, light and up to 2 pixels of shift; copies
were saved with JPEG q 50 to 95, resized by up to 20 %, with other gamma, contrast and brightness,
turned or mirrored, and cropped. Different tiles reach 0.63 (320 against 349 photos: no false alarm,
10 s on one core); parts of one design reach 0.92, but 0.48 in what is their own (no false alarm in
800 pairs). Of 175 copies none is missed uncropped (lowest 0.88), at most 2 where up to 5 % of each
axis is cut away, and at most 12 where it is up to 10 %; copies of the first design keep 0.74 of
what is their own. Of the candidate pairs that show one tile under two exposures 94 % were found
with the stricter limit of 0.79. Of 60 against 60 different procedural surfaces none is alike (at
most 0.46), and no copy of 60 is missed, uncropped or cropped by up to 5 % (lowest 0.81).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.bundle import Bundle
from aliaug_edge.errors import BundleError, DataError
from aliaug_edge.evaluation.alignment import align, centred, coarse, correlation, details, moved
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.fingerprints import FILE, TrainingPhotos, describe

ALIKE = 0.72
ALIKE_IN_WHAT_IS_OWN = 0.6
STANDS_OUT = 0.5  # of the way from what is usual among the candidates to 1
CANDIDATES = 8
CONTROLS = 16
ENOUGH_CONTROLS, LEAST_CONTROLS = 9, 3  # the fewer, the more of a design they leave
SURELY_OWN = 0.75  # where they are not enough
MIDDLE = (0.3, 0.8)  # of the others, by likeness: copies of the same photo come before
WAYS = 8
_SHOWN = 3

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Leak:
    """A test photo that shows the same as a train photo.

    `similarity` in [-1, 1]; `how`: "same pixels", "same picture", or "same picture, turned or
    mirrored". Where it is not `sure`, there were too few other photos to tell two parts of one
    design from one part.
    """

    train_name: str
    test_name: str
    similarity: float
    how: str
    sure: bool = True


def find_leaks(train: Iterable[Photo], test: Iterable[Photo]) -> list[Leak]:
    """Test photos that show the same as a train photo, ordered by test and then train photo."""
    return find_known(_described(train), _described(test))


def require_no_leak(train: Iterable[Photo], test: Iterable[Photo]) -> None:
    """Refuse data of which a test photo can be learned from; a line on stderr tells of pairs that
    may only be parts of one design.

    Raises:
        DataError: there is one; the first pairs are named.
    """
    if leaks := _sure(find_leaks(train, test)):
        raise DataError(
            f"{_some(leaks)}; remove one of each pair, or where they show one part, give both the "
            "same group in a groups file"
        )


def require_not_trained_on(bundle: Bundle, test: Iterable[Photo]) -> None:
    """Refuse a bundle that learned from a test photo, or that does not say from which it learned.
    A base as it is has no record and needs none.

    Raises:
        DataError: it learned from some; the first are named. BundleError: its record is damaged,
            or it was trained and has none.
    """
    known = bundle.training_photos()
    if known is None:
        if bundle.provenance.get("training", "unknown") is not None:
            raise BundleError(
                f"bundle {bundle.name} has no record of the photos that it learned from "
                f"({FILE}), so it may have seen those that it would be tried on; train and export "
                "it again"
            )
        return
    if leaks := _sure(find_known(known, _described(test))):
        raise DataError(
            f"bundle {bundle.name} was trained on photos that it would be tried on: "
            f"{_some(leaks)}; train a generator on the train pool alone"
        )


def find_known(train: TrainingPhotos, test: TrainingPhotos) -> list[Leak]:
    """As `find_leaks`, from what is kept of the photos."""
    if not train.names or not test.names:
        return []
    found = {(a, b): leak for a, b, leak in _confirmed(train, test)}
    by_hash: dict[str, list[int]] = {}
    for index, sha256 in enumerate(train.sha256):
        by_hash.setdefault(sha256, []).append(index)
    for test_index, sha256 in enumerate(test.sha256):
        for train_index in by_hash.get(sha256, []):
            names = train.names[train_index], test.names[test_index]
            found[test_index, train_index] = Leak(*names, 1.0, "same pixels")
    return [leak for _, leak in sorted(found.items())]


def _described(photos: Iterable[Photo]) -> TrainingPhotos:
    return describe((photo.name, photo.image) for photo in photos)


@dataclass(frozen=True, eq=False)
class _Likeness:
    """How to turn each other photo towards each test photo, and which are alike so: `ways` and
    `ranked` (tests, all photos), those of the train side first; `ranked` is from most to least."""

    ways: NDArray[np.intp]
    ranked: NDArray[np.intp]

    def candidates(self, test: int) -> NDArray[np.intp]:
        """The train photos most like a test photo."""
        ranked = self.ranked[test]
        return ranked[ranked < self._trains][:CANDIDATES]

    def controls(self, test: int) -> NDArray[np.intp]:
        """Photos of middling likeness to a test photo, at most `CONTROLS`, itself not among them;
        of a few photos all but those most alike."""
        others = self.ranked[test][self.ranked[test] != self._trains + test]
        low, high = (round(share * len(others)) for share in MIDDLE)
        middle = others[low : max(high, low + CONTROLS)]
        return middle[np.unique(np.linspace(0, len(middle) - 1, CONTROLS).astype(int))]

    @property
    def _trains(self) -> int:
        return self.ways.shape[1] - self.ways.shape[0]


def _likeness(tests: NDArray[np.int8], everything: NDArray[np.int8]) -> _Likeness:
    tried = _vectors(tests)
    known = everything.astype(np.float32)
    turned = (_vectors(_turned(known, way)) for way in range(WAYS))
    alike = np.stack([tried @ vectors.T for vectors in turned])
    return _Likeness(alike.argmax(axis=0), np.argsort(-alike.max(axis=0), axis=1, kind="stable"))


def _vectors(codes: NDArray[np.generic]) -> Float32:
    """Coarse details as rows (n, …) of length 1; 0 where a photo has none."""
    rows = coarse(codes.astype(np.float32)).reshape(len(codes), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    result: Float32 = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return result


def _turned(images: Float32, way: int) -> Float32:
    """`images` (…, n, n) by way // 2 quarter turns, mirrored where `way` is odd."""
    turned = np.rot90(images, way // 2, axes=(-2, -1))
    return turned[..., ::-1] if way % 2 else turned


def _confirmed(train: TrainingPhotos, test: TrainingPhotos) -> Iterator[tuple[int, int, Leak]]:
    """(test, train, leak) of the pairs that show the same."""
    everything = np.concatenate([train.codes, test.codes])
    alike = _likeness(test.codes, everything)
    for tried, name in enumerate(test.names):
        for known, similarity, sure in _same(tried, test.codes[tried], everything, alike):
            how = "same picture" + ", turned or mirrored" * bool(alike.ways[tried, known])
            yield tried, known, Leak(train.names[known], name, similarity, how, sure)


def _same(
    tried: int, code: NDArray[np.int8], everything: NDArray[np.int8], alike: _Likeness
) -> Iterator[tuple[int, float, bool]]:
    """(train photo, similarity, whether it is sure) of those that show what a test photo does."""

    def laid(photos: NDArray[np.intp]) -> tuple[Float32, Float32]:
        rows = [_turned(everything[i], int(alike.ways[tried, i])) for i in photos]
        return _laid_over(code.astype(np.float32), np.stack(rows).astype(np.float32))

    candidates, controls = alike.candidates(tried), alike.controls(tried)
    fixed = details(code[None].astype(np.float32))
    seen, inside = laid(candidates)
    similar = correlation(np.broadcast_to(fixed, seen.shape), seen, inside)
    closer = np.flatnonzero(similar >= ALIKE)
    if not len(closer):
        return
    others = laid(controls)[0] if len(controls) else seen[:0]
    shared = [others[controls != candidates[i]] for i in closer]
    own = np.array(
        [
            _own_likeness(fixed[0], seen[i], inside[i], rows)
            for i, rows in zip(closer, shared, strict=True)
        ]
    )
    usual = float(np.median(own))
    asked = min(ALIKE_IN_WHAT_IS_OWN, usual + STANDS_OUT * (1 - usual))
    for n in np.flatnonzero(own >= asked):
        least = LEAST_CONTROLS if own[n] >= SURELY_OWN else ENOUGH_CONTROLS
        yield int(candidates[closer[n]]), float(similar[closer[n]]), len(shared[n]) >= least


def _laid_over(fixed: Float32, moving: Float32) -> tuple[Float32, Float32]:
    """Details of the codes `moving` (p, n, n) where they lie best over `fixed` (n, n), and 1 where
    they show something."""
    return moved(details(moving), align(np.broadcast_to(fixed, moving.shape), moving))


def _own_likeness(first: Float32, second: Float32, inside: Float32, others: Float32) -> float:
    """Correlation of two pictures (n, n) where `inside` is 1, without what `others` (c, n, n)
    explain of either."""
    shared = np.concatenate([others, _slopes(others.mean(axis=0))]) if len(others) else others
    rows = centred(np.concatenate([first[None], second[None], shared]), inside)
    rows = rows.reshape(len(rows), -1)
    basis = np.linalg.qr(rows[2:].T)[0]
    one, two = (row - basis @ (basis.T @ row) for row in rows[:2])
    return float(one @ two / np.sqrt((one @ one) * (two @ two) + 1e-9))


def _slopes(image: Float32) -> Float32:
    """First and second derivatives (5, n, n) of `image`: what is left of a design where it lies a
    fraction of a pixel beside itself, or was sampled there."""
    down, across = np.gradient(image)
    return np.stack([down, across, *np.gradient(down), np.gradient(across, axis=1)])


def _sure(leaks: Sequence[Leak]) -> list[Leak]:
    if unsure := [leak for leak in leaks if not leak.sure]:
        print(
            f"too few photos to tell parts of one design from copies: {_some(unsure)}; look at "
            "them yourself",
            file=sys.stderr,
        )
    return [leak for leak in leaks if leak.sure]


def _some(leaks: Sequence[Leak]) -> str:
    shown = [
        f"test photo {leak.test_name} is train photo {leak.train_name} ({leak.how}, similarity "
        f"{leak.similarity:.2f})"
        for leak in leaks[:_SHOWN]
    ]
    more = len(leaks) - _SHOWN
    return "; ".join(shown) + (f"; and {more} more pairs" if more > 0 else "")
