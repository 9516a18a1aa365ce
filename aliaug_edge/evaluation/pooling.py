"""The synthetic photos of a fold, made once and shared by all seeds and conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from aliaug_edge import files
from aliaug_edge.evaluation.conditions import Condition
from aliaug_edge.evaluation.folds import Fold
from aliaug_edge.evaluation.generators import trained_bundle
from aliaug_edge.evaluation.photos import Photo, read_photos
from aliaug_edge.evaluation.pools.placements import Placement, plan_placements
from aliaug_edge.evaluation.pools.store import save_pool
from aliaug_edge.evaluation.protocol import EvaluationSettings, pool_size
from aliaug_edge.evaluation.report.insertions import rejected_path
from aliaug_edge.evaluation.report.samples import save_goods

Say = Callable[[str], None]
GOODS_BYTES = 1 << 30
SHOWN = 24  # good photos kept beside the pools, for the report


def pool_name(condition: Condition) -> str:
    """The pool of a condition that has one; conditions that differ in the ratio share it."""
    if condition.pool == "generated":
        return f"generated-{condition.carrier}-{condition.blend}"
    return condition.pool


def pool_dir(out: Path, fold: Fold, name: str) -> Path:
    """Where a pool lies."""
    return out / "pools" / f"fold-{fold.number}" / name


def make_pools(
    settings: EvaluationSettings,
    fold: Fold,
    conditions: Sequence[Condition],
    out: Path,
    say: Say,
) -> None:
    """Make every pool that `conditions` need and that is not there yet, from the fold's train side.

    Raises:
        AliAugError: a pool cannot be made, or a generator cannot be trained.
    """
    wanted = sorted({pool_name(c) for c in conditions if c.pool != "none"})
    missing = [name for name in wanted if not pool_dir(out, fold, name).is_dir()]
    if not missing:
        return
    defects = list(read_photos(fold.train, settings.data))
    goods = _goods_that_fit(settings, fold)
    count = pool_size(fold, quick=settings.quick)
    notes: list[str] = []
    placements = plan_placements(defects, goods, count, settings.seed, notes.append)
    for note in notes:
        say(f"fold {fold.number}: {note}")
    shown = {p.name.rpartition("/")[2]: p.good.image for p in placements[:SHOWN]}
    save_goods(pool_dir(out, fold, ""), shown)
    for name in missing:
        if not name.startswith("generated"):
            say(f"fold {fold.number}: {len(placements)} photos of {name}")
            photos = _classical(name, placements, goods, settings.seed)
            said = notes if name == "copy-paste" else []
            save_pool(photos, pool_dir(out, fold, name), said)
    for carrier in sorted(
        {str(c.carrier) for c in conditions if pool_name(c) in missing} - {"None"}
    ):
        blends = sorted(
            {str(c.blend) for c in conditions if pool_name(c) in missing and c.carrier == carrier}
        )
        _generated(settings, fold, carrier, blends, placements, notes, out, say)


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
    name: str, placements: Sequence[Placement], goods: Sequence[Photo], seed: int
) -> list[Photo]:
    from aliaug_edge.evaluation.pools.copy_paste import paste
    from aliaug_edge.evaluation.pools.cutpaste import cutpaste
    from aliaug_edge.evaluation.pools.perlin import perlin

    if name == "copy-paste":
        return [paste(placement) for placement in placements]
    make = {"perlin": perlin, "cutpaste": cutpaste}[name]
    return make(goods, len(placements), seed)


def _generated(
    settings: EvaluationSettings,
    fold: Fold,
    carrier: str,
    blends: Sequence[str],
    placements: Sequence[Placement],
    notes: Sequence[str],
    out: Path,
    say: Say,
) -> None:
    from aliaug_edge.evaluation.pools.generated import generate_pool

    bundle = trained_bundle(settings, fold, carrier, out, say)
    say(f"fold {fold.number}: {len(placements)} insertions, class by {carrier}")
    made = generate_pool(bundle, placements, blends, seed=settings.seed)
    kept = len(made.photos[blends[0]])
    say(f"fold {fold.number}: kept {kept} of {len(placements)}")
    files.write_json(
        rejected_path(out, fold.number, carrier),
        {"asked": len(placements), "kept": kept, "rejected": made.rejected},
    )
    for blend, photos in made.photos.items():
        save_pool(photos, pool_dir(out, fold, f"generated-{carrier}-{blend}"), notes)
