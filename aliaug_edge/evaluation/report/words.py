"""The evaluation in sentences: what was compared, what decides, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aliaug_edge.evaluation.report.numbers import over_groups, percent, signed, signed_percent
from aliaug_edge.evaluation.statistics import LEAST_GROUPS, LEAST_SEEDS
from aliaug_edge.profiling.table import counted

QUICK = (
    "Quick run: too few seeds and steps to tell one condition from another. It shows that "
    "everything works, and decides nothing."
)
PRIMARY = (
    "Primary, declared before the first result: average precision inside each defect photo, "
    "averaged over the photos of a group (one physical part) and then over groups. Intervals are "
    "95 % and come from drawing groups again, within each class of six groups or more and among "
    "all smaller classes together, widened by Student's t; the seeds' spread stands apart."
)
POOLED = (
    "Pooled AP is information only: it puts the pixels of all photos into one heap, so that the "
    "largest defects decide it."
)
PER_CLASS = (
    "Per class is for the eye: a class has few groups, so no claim about a single class can be "
    "made from it."
)
HOLM = (
    "With seeds: the interval where the seeds are drawn again as well as the groups. Effect: the "
    "rank-biserial correlation, 1 where every group gains and −1 where every group loses. p: "
    "Wilcoxon's signed-rank test over the groups, two-sided; Holm's correction counts all "
    "comparisons that were declared for the table, those without a result too."
)
VERDICTS = {
    "gain": "Gain shown",
    "none": "Gain not shown",
    "loss": "Loss shown",
    "open": "No verdict yet",
    "quick": "Nothing decided",
}
_POOLS = {
    "copy-paste": "real defects of the train side, cut out and pasted onto good parts",
    "perlin": "noise-shaped patches of foreign texture (as DRAEM makes them)",
    "cutpaste": "patches of good parts moved to another place (CutPaste)",
}

Document = Mapping[str, Any]


def verdict_kind(primary: Document, *, quick: bool = False) -> str:
    """gain, loss or none, by where the comparison's interval lies from zero; open without one and
    where too little was tried to decide, and quick where the run was too short to say."""
    if quick:
        return "quick"
    if not decides(primary):
        return "open"
    if primary["low"] > 0:
        return "gain"
    return "loss" if primary["high"] < 0 else "none"


def decides(comparison: Document) -> bool:
    """Whether a comparison has a result of enough groups and seeds to decide anything."""
    return (
        comparison["low"] is not None
        and comparison["groups"] >= LEAST_GROUPS
        and len(comparison["seeds"]) >= LEAST_SEEDS
    )


def verdict_sentence(document: Document) -> str:
    """What the primary comparison says, and no more than it says."""
    primary = document["primary"]
    ours, classic = primary["titles"]
    if primary["low"] is None:
        return f"{ours} against {classic}: results are not there yet, so nothing can be said."
    between = over_groups(primary, differences=True)
    came = (
        f"{ours} against {classic}: {signed(primary['difference'])} AP per image, "
        f"95 % interval {between}, {signed_percent(primary['relative'])} relative. "
    )
    said = {
        "gain": "The interval lies above zero: on parts that nobody trained on, a detector finds "
        "more with it.",
        "none": "The interval holds zero: a gain is not shown, and neither is that there is none.",
        "loss": "The interval lies below zero: a detector finds less with it.",
        "open": f"To decide takes {LEAST_GROUPS} groups and {LEAST_SEEDS} seeds at least; here are "
        f"{counted(primary['groups'], 'group')} and {counted(len(primary['seeds']), 'seed')}.",
        "quick": "The detectors were trained too shortly to tell conditions apart.",
    }[primary["verdict"]]
    return came + said + _caveats(document)


def condition_sentence(row: Document) -> str:
    """What detectors of a condition learn from."""
    real = "real defects" if row["real"] else "no real defect"
    augment = "classic augmentation" if row["augment"] else "no augmentation"
    if row["pool"] == "none":
        return f"{real}, {augment}"
    made = _POOLS.get(row["pool"], f"defects that our generator inserts{_how(row)}")
    amount = f"{row['ratio']:g} synthetic per real one: " if row["real"] else "synthetic only: "
    return f"{real}, {augment}; {amount}{made}"


def dominance_sentence(test_set: Document) -> str:
    """Which class and how few photos hold the positive pixels: why pooled AP does not decide."""
    if not test_set["positives"]:
        return POOLED
    shares = ", ".join(f"{row['class']} {percent(row['share'])}" for row in test_set["classes"])
    return (
        f"{POOLED} Share of positive pixels: {shares}; the three largest photos hold "
        f"{percent(test_set['largest_photos_share'])}, the three largest groups "
        f"{percent(test_set['largest_groups_share'])}."
    )


def gaps(document: Document) -> list[str]:
    """What is missing or was discarded, a line each; empty when the run is whole."""
    lines = []
    missing = document["missing"]
    if missing:
        names = list(dict.fromkeys(entry["condition"] for entry in missing))
        lines.append(
            f"Unfinished: {len(missing)} of {counted(document['planned'], 'planned run')} not done "
            f"yet ({_listed(names)}); run the same command again to go on."
        )
    lines += [
        f"Discarded: {entry['condition']}, fold {entry['fold']}, seed {entry['seed']}: "
        f"{entry['why']}"
        for entry in document["discarded"]
    ]
    whole = document["test_set"]["groups"]
    lines += [
        f"{row['name']}: its level is of {row['ap']['groups']} of {whole} groups, so look at its "
        "differences, which are of the groups that both have"
        for row in document["conditions"]
        if row["ap"] and row["ap"]["groups"] < whole
    ]
    if document["strays"]:
        lines.append(f"Not planned by the protocol, not used: {_listed(document['strays'])}")
    return lines


def _caveats(document: Document) -> str:
    parts = []
    if document["quick"]:
        parts.append(" This was a quick run, which decides nothing.")
    elif document["missing"]:
        parts.append(" Runs are missing, so this may still change.")
    if document["discarded"]:
        number = counted(len(document["discarded"]), "detector run")
        parts.append(f" {number} failed and could not be counted.")
    groups, whole = document["primary"]["groups"], document["test_set"]["groups"]
    if groups < whole:
        parts.append(f" It is of {groups} of {whole} groups.")
    return "".join(parts)


def _how(row: Document) -> str:
    how = [
        row["carrier"] and f"label as {row['carrier']}",
        row["blend"] and f"blend {row['blend']}",
    ]
    told = ", ".join(part for part in how if part)
    return f" ({told})" if told else ""


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
