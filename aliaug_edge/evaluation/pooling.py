"""The synthetic photos of a fold, made once and shared by all seeds and conditions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aliaug_edge import files
from aliaug_edge.bundle import Bundle
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.conditions import Condition
from aliaug_edge.evaluation.folds import Fold
from aliaug_edge.evaluation.generators import trained_bundle
from aliaug_edge.evaluation.photos import Photo, on_their_backdrop, read_photos
from aliaug_edge.evaluation.pools.placements import Placement, plan_placements
from aliaug_edge.evaluation.pools.store import save_pool
from aliaug_edge.evaluation.protocol import EvaluationSettings, pool_size
from aliaug_edge.evaluation.report.insertions import rejected_path
from aliaug_edge.evaluation.report.samples import save_goods

Say = Callable[[str], None]
GOODS_BYTES = 1 << 30
PLACED = ("copy-paste", "generated")  # pools that put the same defects at the same places
SHOWN = 24  # good photos kept beside the pools, for the report


def pool_name(condition: Condition) -> str:
    """The pool of a condition that has one; conditions that differ in the ratio share it."""
    if condition.pool == "generated":
        ending = "" if condition.bent else "-unbent"
        return f"generated-{condition.carrier}-{condition.blend}{ending}"
    return condition.pool


def pool_dir(out: Path, fold: Fold, name: str) -> Path:
    """Where a pool lies."""
    return out / "pools" / f"fold-{fold.number}" / name


@dataclass(frozen=True)
class Places:
    """Where pools of a fold put their defects, and what was noted when that was decided."""

    placements: list[Placement]
    notes: list[str]


def make_pools(
    settings: EvaluationSettings,
    fold: Fold,
    conditions: Sequence[Condition],
    out: Path,
    say: Say,
) -> dict[str, str]:
    """Make every pool that `conditions` need and that is not there yet, from the fold's train side.

    One that cannot be made is no reason to do without the others: why is returned, by its name.

    Raises:
        DataError: a photo cannot be read.
    """
    wanted = {pool_name(c): c for c in conditions if c.pool != "none"}
    missing = {n: c for n, c in sorted(wanted.items()) if not pool_dir(out, fold, n).is_dir()}
    failed: dict[str, str] = {}
    if not missing:
        return failed

    @contextlib.contextmanager
    def reported(names: Iterable[str]) -> Iterator[None]:
        try:
            yield
        except AliAugError as error:
            lost = [name for name in names if not pool_dir(out, fold, name).is_dir()]
            failed.update(dict.fromkeys(lost, str(error)))
            say(f"fold {fold.number}: no {', '.join(lost)}: {error}")

    defects = list(read_photos(fold.train, settings.data))
    goods = _goods_that_fit(settings, fold)
    if len(goods) < len(fold.train_good):
        there = len(fold.train_good)
        say(f"fold {fold.number}: defects are put on {len(goods)} of {there} good photos, 1 GiB")
    defects, goods = on_their_backdrop(defects, goods)
    count = pool_size(fold, quick=settings.quick)
    places = Places([], [])
    with reported(n for n, c in missing.items() if c.pool in PLACED):
        places = _places(settings, fold, defects, goods, count, out, say)
    for name, condition in missing.items():
        if condition.pool != "generated" and name not in failed:
            say(f"fold {fold.number}: {count} photos of {name}")
            with reported([name]):
                photos = _classical(name, places.placements, goods, count, settings.seed)
                said = places.notes if condition.pool in PLACED else []
                save_pool(photos, pool_dir(out, fold, name), said)
    open_ones = [c for n, c in missing.items() if c.pool == "generated" and n not in failed]
    for carrier in sorted({str(c.carrier) for c in open_ones}):
        own = [c for c in open_ones if c.carrier == carrier]
        with reported(map(pool_name, own)):
            bundle = trained_bundle(settings, fold, carrier, out, say)
            for bent in sorted({c.bent for c in own}, reverse=True):
                chosen = [c for c in own if c.bent == bent]
                _generated(bundle, settings, fold, chosen, places, out, say)
    return failed


def _places(
    settings: EvaluationSettings,
    fold: Fold,
    defects: Sequence[Photo],
    goods: Sequence[Photo],
    count: int,
    out: Path,
    say: Say,
) -> Places:
    """The places, of which the first ones' good photos are kept for the report."""
    notes: list[str] = []
    placements = plan_placements(defects, goods, count, settings.seed, notes.append)
    for note in notes:
        say(f"fold {fold.number}: {note}")
    shown = {p.name.rpartition("/")[2]: p.good.image for p in placements[:SHOWN]}
    save_goods(pool_dir(out, fold, ""), shown)
    return Places(placements, notes)


def _goods_that_fit(settings: EvaluationSettings, fold: Fold) -> list[Photo]:
    """Good photos of the train side, as many as `GOODS_BYTES` hold."""
    goods: list[Photo] = []
    taken = 0
    for photo in read_photos(fold.train_good, settings.data):
        taken += photo.image.nbytes
        if goods and taken > GOODS_BYTES:
            break
        goods.append(photo)
    return goods


def _classical(
    name: str, placements: Sequence[Placement], goods: Sequence[Photo], count: int, seed: int
) -> list[Photo]:
    from aliaug_edge.evaluation.pools.copy_paste import paste
    from aliaug_edge.evaluation.pools.cutpaste import cutpaste
    from aliaug_edge.evaluation.pools.perlin import perlin

    if name == "copy-paste":
        return [paste(placement) for placement in placements]
    make = {"perlin": perlin, "cutpaste": cutpaste}[name]
    return make(goods, count, seed)


def _generated(
    bundle: Bundle,
    settings: EvaluationSettings,
    fold: Fold,
    conditions: Sequence[Condition],
    places: Places,
    out: Path,
    say: Say,
) -> None:
    """The pools of `conditions`, which differ in nothing but the way of blending."""
    from aliaug_edge.evaluation.pools.generated import generate_pool

    names = {str(c.blend): pool_name(c) for c in conditions}
    carrier, bent = str(conditions[0].carrier), conditions[0].bent
    asked = len(places.placements)
    outlines = "" if bent else ", outlines not bent"
    say(f"fold {fold.number}: {asked} insertions, class by {carrier}{outlines}")
    made = generate_pool(bundle, places.placements, sorted(names), seed=settings.seed, bent=bent)
    kept = sum(tally.kept for tally in made.classes.values())
    say(f"fold {fold.number}: kept {kept} of {asked}")
    counts = {name: asdict(tally) for name, tally in made.classes.items()}
    path = rejected_path(out, fold.number, carrier)
    files.write_json(
        path if bent else path.with_stem(f"{path.stem}-unbent"),
        {"asked": asked, "kept": kept, "classes": counts, "rejected": made.rejected},
    )
    for blend, photos in made.photos.items():
        save_pool(photos, pool_dir(out, fold, names[blend]), places.notes)
