"""Which pairs of fingerprints show one part and not merely one design.

A test photo is laid over the `CANDIDATES` train photos most like it as they lie, and over those
that are like it only turned, cut, shrunk or negated (`disguises`). Correlation alone would accuse
two parts of one design, so what the photo shares with up to `CONTROLS` others of middling likeness,
of either side, is taken off both before they are correlated again. A pair is not sure where there
are too few others to learn a design from, or where others are just as like (`_rivals`): a design of
few photos, or one that lies otherwise in every photo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.evaluation.alignment import align, coarse, correlation, details, moved
from aliaug_edge.evaluation.disguises import Suspects, suspects, turned
from aliaug_edge.evaluation.own_look import own_likeness
from aliaug_edge.evaluation.registration import register, repetition, shown

ALIKE = 0.72
NEARLY_ALIKE = 0.6  # alike enough to bear witness of a design
ALIKE_IN_WHAT_IS_OWN = 0.6
STANDS_OUT = 0.5  # of the way from what is usual among the candidates to 1
CLEARLY_OUT = 0.75  # the same from others that would be accused themselves
CANDIDATES = 8
PEERS = 4  # photos of the test side that may show the same design
CONTROLS = 16
ENOUGH_CONTROLS, LEAST_CONTROLS = 9, 3  # the fewer, the more of a design they leave
SURELY_OWN = 0.75  # where they are not enough
DESIGN = 4  # train photos alike; more are a design, which its parts never explain wholly
OUT_OF_DESIGN = 0.6  # of the way from the likest of its other parts to 1
CLEARLY = 0.02  # better where it lies otherwise than where it lies as it is
RIVAL = 0.4  # alike in what is own
RIVALS = 3  # so many of the train side make a pair unsure; one of the test side does
RIVALS_BESIDE_PEERS = 2  # where the test side shows that it may be a design; 1 if searched for
TRAINS_PER_RIVAL = 8  # among few train photos fewer
MIDDLE = (0.3, 0.8)  # of the others, by likeness: copies of the same photo come before
WAYS = 8

Int8 = NDArray[np.int8]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Match:
    """A test and a train photo, by their places, that show the same; `changed` says whether it
    lies otherwise in one of them, "" if not."""

    test: int
    train: int
    similarity: float
    changed: str
    sure: bool


def matches(trains: Int8, tests: Int8, groups: Sequence[str]) -> Iterator[Match]:
    """The pairs of codes `trains` (k, n, n) and `tests` (m, n, n) that show the same. `groups` are
    the parts that the test photos show; one part is not two of a design."""
    everything = np.concatenate([trains, tests])
    alike = _likeness(tests, everything)
    for test, found in enumerate(suspects(trains, tests)):
        same = [g == groups[test] for g in groups]
        yield from _same(_Case(test, tests[test], everything, alike, np.array(same)), found)


@dataclass(frozen=True, eq=False)
class _Likeness:
    """How to turn each other photo towards each test photo, and which are alike so: `ways` and
    `ranked` (tests, all photos), those of the train side first; `ranked` is from most to least."""

    ways: NDArray[np.intp]
    ranked: NDArray[np.intp]

    @property
    def trains(self) -> int:
        return self.ways.shape[1] - self.ways.shape[0]


def _likeness(tests: Int8, everything: Int8) -> _Likeness:
    tried = _vectors(tests)
    known = everything.astype(np.float32)
    ways = (_vectors(turned(known, way)) for way in range(WAYS))
    alike = np.stack([tried @ vectors.T for vectors in ways])
    return _Likeness(alike.argmax(axis=0), np.argsort(-alike.max(axis=0), axis=1, kind="stable"))


def _vectors(codes: NDArray[np.generic]) -> Float32:
    """Coarse details as rows (n, …) of length 1; 0 where a photo has none."""
    rows = coarse(codes.astype(np.float32)).reshape(len(codes), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    result: Float32 = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return result


@dataclass(frozen=True, eq=False)
class _Case:
    """One test photo, everything that it may be alike, and which tests show its own part."""

    test: int
    code: Int8
    everything: Int8
    alike: _Likeness
    same_part: NDArray[np.bool_]

    def candidates(self) -> NDArray[np.intp]:
        """The train photos most like it."""
        ranked = self.alike.ranked[self.test]
        return ranked[ranked < self.alike.trains][:CANDIDATES]

    def peers(self) -> NDArray[np.intp]:
        """The photos of other parts on the test side most like it."""
        ranked = self.alike.ranked[self.test]
        tests = ranked[ranked >= self.alike.trains]
        return tests[~self.same_part[tests - self.alike.trains]][:PEERS]

    def controls(self) -> NDArray[np.intp]:
        """Photos of middling likeness, at most `CONTROLS`, itself not among them; of a few photos
        all but those most alike."""
        ranked = self.alike.ranked[self.test]
        others = ranked[ranked != self.alike.trains + self.test]
        low, high = (round(share * len(others)) for share in MIDDLE)
        middle = others[low : max(high, low + CONTROLS)]
        return middle[np.unique(np.linspace(0, len(middle) - 1, CONTROLS).astype(int))]

    def laid(self, photos: NDArray[np.intp]) -> _Laid:
        """`photos` where they lie best over it as they are."""
        ways = self.alike.ways[self.test, photos]
        moving = self._turned(photos, ways)
        fixed = np.broadcast_to(self.code.astype(np.float32), moving.shape)
        seen, inside = moved(details(moving), align(fixed, moving))
        changed = ["turned or mirrored" if way else "" for way in ways]
        return _Laid(photos, seen, inside, correlation(details(fixed), seen, inside), changed)

    def laid_so(self, found: Suspects) -> _Laid:
        """Suspects where they lie best over it."""
        moving = self._turned(found.trains, found.ways) * found.signs[:, None, None]
        fixed = np.broadcast_to(self.code.astype(np.float32), moving.shape)
        seen, inside = shown(details(moving), register(fixed, moving, found.maps, fine=True))
        changed = ["as a negative" if sign < 0 else "turned or cut" for sign in found.signs]
        similar = correlation(details(fixed), seen, inside)
        return _Laid(found.trains, seen, inside, similar, changed, searched=True)

    def pair(self, photo: int) -> Float32:
        """Its code and that of another photo, (2, n, n)."""
        return np.stack([self.code, self.everything[photo]]).astype(np.float32)

    def _turned(self, photos: NDArray[np.intp], ways: NDArray[np.intp]) -> Float32:
        rows = [turned(self.everything[i], int(w)) for i, w in zip(photos, ways, strict=True)]
        shape = (len(rows), *self.code.shape)
        return np.array(rows, np.float32).reshape(shape)


@dataclass(frozen=True, eq=False)
class _Laid:
    """Photos (p,) laid over a test photo: their details and where they show something (p, n, n),
    their correlation with it (p,), in what they lie otherwise, and whether that is a search's
    finding and not as they are."""

    photos: NDArray[np.intp]
    seen: Float32
    inside: Float32
    similar: Float32
    changed: Sequence[str]
    searched: bool = False


def _same(case: _Case, found: Suspects) -> Iterator[Match]:
    """The train photos that show what a test photo does."""
    best = _closest(case, found)
    if not any(laid.similar[n] >= ALIKE for laid, n in best.values()):
        return
    others = case.laid(case.controls())
    own = {photo: _own(case, laid, n, others) for photo, (laid, n) in best.items()}
    closer = [photo for photo, (laid, n) in best.items() if laid.similar[n] >= ALIKE]
    usual_own = float(np.median([own[photo] for photo in closer]))
    asked = min(ALIKE_IN_WHAT_IS_OWN, _standing_out(usual_own))
    alike = [photo for photo in closer if own[photo] >= asked]
    if not alike:
        return
    peers_own = _own_of_peers(case, others)
    for photo in alike:
        laid, n = best[photo]
        similar = float(laid.similar[n])
        # A pattern that repeats itself fits elsewhere too; what was searched for has to fit better.
        usual = max(map(repetition, details(case.pair(photo))))
        if laid.searched and similar < usual:
            continue
        count = int((others.photos != photo).sum())
        enough = count >= (LEAST_CONTROLS if own[photo] >= SURELY_OWN else ENOUGH_CONTROLS)
        rest = [value for other, value in own.items() if other != photo]
        if len(closer) > DESIGN:
            alone = own[photo] >= _standing_out(max([*rest, *peers_own]), OUT_OF_DESIGN)
        else:
            most = RIVALS
            if peers_own:
                most = 1 if laid.searched else RIVALS_BESIDE_PEERS
            most = min(most, 1 + case.alike.trains // TRAINS_PER_RIVAL)
            alone = not _rivals(own[photo], peers_own) and _rivals(own[photo], rest) < most
        fits = similar >= (_standing_out(usual) if laid.searched else usual)
        sure = enough and alone and fits and own[photo] >= ALIKE_IN_WHAT_IS_OWN
        yield Match(case.test, photo, similar, laid.changed[n], sure)


def _own_of_peers(case: _Case, others: _Laid) -> list[float]:
    """How alike in what is its own the photos of other parts on the test side are."""
    photos = case.peers()
    if not len(photos):
        return []
    peers = case.laid(photos)
    return [
        _own(case, peers, int(n), others) for n in np.flatnonzero(peers.similar >= NEARLY_ALIKE)
    ]


def _closest(case: _Case, found: Suspects) -> dict[int, tuple[_Laid, int]]:
    """The train photos nearly alike a test photo: what was laid where each fits best, and where."""
    best: dict[int, tuple[_Laid, int]] = {}
    for laid in [
        case.laid(case.candidates()),
        *([case.laid_so(found)] if len(found.trains) else []),
    ]:
        for n in np.flatnonzero(laid.similar >= NEARLY_ALIKE):
            before, at = best.get(int(laid.photos[n]), (None, 0))
            if before is None or laid.similar[n] > before.similar[at] + CLEARLY:
                best[int(laid.photos[n])] = laid, int(n)
    return best


def _rivals(own: float, others: Sequence[float]) -> int:
    """How many others are so alike in what is own that `own` does not stand out from them."""
    near = [value for value in others if value >= RIVAL]
    shares = [CLEARLY_OUT if v >= ALIKE_IN_WHAT_IS_OWN else STANDS_OUT for v in near]
    return sum(own < _standing_out(v, share) for v, share in zip(near, shares, strict=True))


def _standing_out(usual: float, share: float = STANDS_OUT) -> float:
    return usual + share * (1 - usual)


def _own(case: _Case, laid: _Laid, n: int, controls: _Laid) -> float:
    """Correlation of a test photo with the n-th laid over it, without what `controls` explain."""
    others = controls.seen[controls.photos != laid.photos[n]]
    return own_likeness(details(case.code.astype(np.float32)), laid.seen[n], laid.inside[n], others)
