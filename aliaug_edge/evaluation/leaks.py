"""Test photos that were learned from, whatever they are called there and however they were saved.

Every test photo is compared by fingerprint with every train photo (`matching`), as it lies, turned
by quarters or mirrored, and where that finds nothing, turned by some degrees, cut, framed or as a
negative (`disguises`). What two parts of one design share does not accuse them; where that cannot
be told, a pair is only told of. Other procedural designs, 4 to 40 train photos of each against 6,
moved by fractions of a pixel, in other light and grain, reach 0.57 with enough controls and 0.70
with fewer; copies with JPEG q 50 or 60, some of them mirrored, keep 0.59 (faint grain) to 0.88.

Measured on photos as they lie, when nothing else was searched for and borders still counted in
fingerprints: the magnetic tiles (669 photos, the groups halved at random) and two procedural
designs, each photographed 120 times with other grain, light and up to 2 pixels of shift. Copies
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

from aliaug_edge.bundle import Bundle
from aliaug_edge.errors import BundleError, DataError
from aliaug_edge.evaluation.matching import matches
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.fingerprints import FILE, TrainingPhotos, describe

_SHOWN = 3


@dataclass(frozen=True)
class Leak:
    """A test photo that shows the same as a train photo.

    `similarity` in [-1, 1]; `how`: "same pixels", "same picture", or "same picture" and what was
    done to it. Where it is not `sure`, two parts of one design could not be told from one part:
    there were too few other photos, others are just as like, or the pattern repeats itself.
    """

    train_name: str
    test_name: str
    similarity: float
    how: str
    sure: bool = True


def find_leaks(train: Iterable[Photo], test: Iterable[Photo]) -> list[Leak]:
    """Test photos that show the same as a train photo, ordered by test and then train photo."""
    groups: list[str] = []

    def noted() -> Iterator[Photo]:
        for photo in test:  # one at a time: all of them may not fit into memory
            groups.append(photo.group)
            yield photo

    tried = _described(noted())
    return find_known(_described(train), tried, groups)


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


def find_known(
    train: TrainingPhotos, test: TrainingPhotos, groups: Sequence[str] = ()
) -> list[Leak]:
    """As `find_leaks`, from what is kept of the photos; `groups` are the parts that the test photos
    show, each its own where it is left out."""
    if not train.names or not test.names:
        return []
    found = {
        (match.test, match.train): Leak(
            train.names[match.train],
            test.names[match.test],
            match.similarity,
            "same picture" + f", {match.changed}" * bool(match.changed),
            match.sure,
        )
        for match in matches(train.codes, test.codes, groups or test.names)
    }
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


def _sure(leaks: Sequence[Leak]) -> list[Leak]:
    if unsure := [leak for leak in leaks if not leak.sure]:
        print(
            f"too few photos to tell parts of one design from copies, or too like each other: "
            f"{_some(unsure)}; look at them yourself",
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
