"""Everything that is wrong with a folder of defect images, found in one pass."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import imaging
from aliaug_edge.data.check_report import QUANTILES, CheckReport, ClassReport
from aliaug_edge.data.leftovers import leftovers
from aliaug_edge.data.load import pair_faults
from aliaug_edge.data.notes import dim_notes, few_notes
from aliaug_edge.data.reader import read_dataset
from aliaug_edge.data.samples import GOOD, Dataset, Sample
from aliaug_edge.data.splits import TEST, TRAIN
from aliaug_edge.errors import DataError

_Peaks = tuple[tuple[Path, int], ...]


@dataclass(frozen=True)
class _Finding:
    """What decoding one sample showed; None and empty where it could not be read."""

    sample: Sample
    image_hw: tuple[int, int] | None
    image_mode: str | None
    pixels_sha256: str | None
    synthetic: bool
    mask_px: int | None
    mask_fraction: float | None
    peaks: _Peaks  # of its photos with 16 bits
    faults: tuple[str, ...]


def check_dataset(
    root: Path,
    *,
    groups: Path | None = None,
    pool: str = TRAIN,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Read the structure and decode every file once, those that belong to no sample too.

    `progress(done, total)` is called for each sample and for each such file.

    Raises:
        DataError: no layout is recognised, or a groups, split or prompts file is unusable.
    """
    dataset = read_dataset(root, groups=groups, pool=pool, seed=seed)
    loose, unread = leftovers(dataset)
    total = len(dataset.samples) + len(loose)

    def step(done: int) -> None:
        if progress is not None:
            progress(done, total)

    findings = []
    for done, sample in enumerate(dataset.samples, start=1):
        findings.append(_examine(sample))
        step(done)
    faults: list[str] = []
    for done, path in enumerate(loose, start=len(findings) + 1):
        _tried(imaging.load_image, path, faults)
        step(done)
    return _report(dataset, findings, faults, unread)


def _examine(sample: Sample) -> _Finding:
    faults: list[str] = []
    image = _tried(imaging.load_image, sample.image_path, faults)
    mask = _tried(imaging.load_mask, sample.mask_path, faults)
    good = _tried(imaging.load_image, sample.good_path, faults)
    if mask is not None:
        faults += pair_faults(sample, image, mask)
    if image is not None and good is not None and good.shape != image.shape:
        faults.append(
            f"{sample.good_path} is {good.shape[1]} x {good.shape[0]} but {sample.image_path} is "
            f"{image.shape[1]} x {image.shape[0]}; they must have the same size"
        )
    return _Finding(
        sample,
        image_hw=None if image is None else (image.shape[0], image.shape[1]),
        image_mode=None if image is None else imaging.pixel_format(sample.image_path),
        pixels_sha256=None if image is None else _hash(image),
        synthetic=image is not None and imaging.is_marked_synthetic(sample.image_path),
        mask_px=None if mask is None else int(np.count_nonzero(mask)),
        mask_fraction=None if mask is None else float(np.count_nonzero(mask) / mask.size),
        peaks=_peaks([(sample.image_path, image), (sample.good_path, good)]),
        faults=tuple(faults),
    )


def _peaks(photos: Iterable[tuple[Path | None, NDArray[np.uint8] | None]]) -> _Peaks:
    """The largest sample of every photo that is readable and has 16 bits."""
    readable = [path for path, image in photos if path is not None and image is not None]
    return tuple((p, peak) for p in readable if (peak := imaging.sixteen_bit_peak(p)) is not None)


def _tried(
    load: Callable[[Path], NDArray[np.uint8]], path: Path | None, faults: list[str]
) -> NDArray[np.uint8] | None:
    if path is None:
        return None
    try:
        return load(path)
    except DataError as error:
        faults.append(str(error))
        return None


def _hash(image: NDArray[np.uint8]) -> str:
    """Of the pixels, not of the file: the same photo saved twice is still the same photo."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def _report(
    dataset: Dataset,
    findings: Sequence[_Finding],
    loose_faults: Sequence[str],
    unread: Sequence[str],
) -> CheckReport:
    leaks, repeats = _duplicates(findings)
    marked, marked_notes = _synthetic(findings)
    faults = [*(fault for f in findings for fault in f.faults), *loose_faults]
    sizes = sorted({f.image_hw for f in findings if f.image_hw}, key=lambda hw: (hw[0] * hw[1], hw))
    modes = [f.image_mode for f in findings if f.image_mode]
    return CheckReport(
        root=str(dataset.root),
        layout=dataset.layout,
        classes=tuple(_class_report(n, findings) for n in (*dataset.classes, GOOD)),
        image_count=len(findings),
        image_modes={mode: modes.count(mode) for mode in sorted(set(modes))},
        distinct_sizes=len(sizes),
        smallest_hw=sizes[0] if sizes else None,
        largest_hw=sizes[-1] if sizes else None,
        problems=tuple(dict.fromkeys((*dataset.problems, *faults, *leaks, *marked))),
        notes=(
            *dataset.notes,
            *few_notes(dataset),
            *unread,
            *dim_notes(p for f in findings for p in f.peaks),
            *repeats,
            *marked_notes,
        ),
    )


def _class_report(name: str, findings: Iterable[_Finding]) -> ClassReport:
    of_class = [f for f in findings if f.sample.defect_class == name]
    splits = [f.sample.split for f in of_class]
    groups = {(f.sample.split, f.sample.group) for f in of_class}
    return ClassReport(
        name,
        train=splits.count(TRAIN),
        test=splits.count(TEST),
        groups_train=sum(split == TRAIN for split, _ in groups),
        groups_test=sum(split == TEST for split, _ in groups),
        area_fraction=_quantiles(f.mask_fraction for f in of_class),
        area_px=_quantiles(f.mask_px for f in of_class),
    )


def _quantiles(values: Iterable[float | None]) -> dict[str, float]:
    known = [value for value in values if value is not None]
    if not known:
        return {}
    return {name: float(np.quantile(known, q)) for name, q in QUANTILES.items()}


def _duplicates(findings: Iterable[_Finding]) -> tuple[list[str], list[str]]:
    """Problems: a photo that lies in both splits. Notes: one that lies twice in the same."""
    same: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for finding in findings:
        if finding.pixels_sha256:
            same[finding.pixels_sha256][finding.sample.split].append(finding.sample.image_path)
    leaks = [
        f"the same photo lies in both splits: {splits[TRAIN][0]} (train) and "
        f"{splits[TEST][0]} (test)"
        for splits in same.values()
        if len(splits) > 1
    ]
    repeats = [
        f"the same photo lies twice in {split}: {paths[0]} and {paths[1]}"
        for splits in same.values()
        for split, paths in splits.items()
        if len(paths) > 1
    ]
    return leaks, repeats


def _synthetic(findings: Iterable[_Finding]) -> tuple[list[str], list[str]]:
    marked = [f.sample for f in findings if f.synthetic]
    problems = [
        f"{s.image_path} is marked as synthetic and lies in the test split; evaluate on real photos"
        for s in marked
        if s.split == TEST
    ]
    learned = [s for s in marked if s.split == TRAIN]
    notes = [
        f"{len(learned)} images to learn from are marked as synthetic, e.g. {s.image_path}"
        for s in learned[:1]
    ]
    return problems, notes
