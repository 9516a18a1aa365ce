"""What the judge saw, as plain data and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aliaug_edge.data.procedural import Pair


@dataclass(frozen=True)
class Task:
    """A class asked for, on a drawn part; `outline` is the class that lends the mask its shape."""

    asked: str
    outline: str
    pair: Pair
    seed: int


def accuracies(
    tasks: Sequence[Task], real: Sequence[str], generated: Sequence[str], classes: Sequence[str]
) -> dict[str, Any]:
    """Share of real and of generated pictures in which the class asked for was seen."""
    hits = [(a == t.asked, b == t.asked) for t, a, b in zip(tasks, real, generated, strict=True)]

    def share(chosen: Sequence[tuple[bool, bool]]) -> dict[str, Any]:
        count = len(chosen)
        return {
            "count": count,
            "real": round(sum(a for a, _ in chosen) / count, 4),
            "generated": round(sum(b for _, b in chosen) / count, 4),
        }

    per_class = {
        name: share([hit for hit, task in zip(hits, tasks, strict=True) if task.asked == name])
        for name in classes
    }
    return {**share(hits), "per_class": per_class}


def swap_counts(tasks: Sequence[Task], seen: list[str]) -> dict[str, int]:
    """How often the class asked for, the class of the outline, or another was seen."""
    asked = sum(name == task.asked for name, task in zip(seen, tasks, strict=True))
    outline = sum(name == task.outline for name, task in zip(seen, tasks, strict=True))
    return {
        "count": len(tasks),
        "asked": asked,
        "outline": outline,
        "other": len(tasks) - asked - outline,
    }


def confusion(
    tasks: Sequence[Task], seen: list[str], classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    """{class asked for: {class seen: count}}."""
    table = {name: dict.fromkeys(classes, 0) for name in classes}
    for task, name in zip(tasks, seen, strict=True):
        table[task.asked][name] += 1
    return table


def report_text(report: dict[str, Any]) -> str:
    """The report for a person."""
    own, swapped, swap = report["own_outline"], report["swapped_outline"], report["swap_test"]
    width = max(map(len, report["classes"])) + 2
    lines = [
        f"bundle {report['bundle']['name']} at {report['size'][0]}x{report['size'][1]}, "
        f"{own['count'] + swapped['count']} insertions, chance {report['chance']:.2f}",
        "",
        f"{'':<{width}}{'own outline':^22}{'another outline':^22}",
        f"{'class':<{width}}" + f"{'real':>11}{'generated':>11}" * 2,
    ]
    for name in (*report["classes"], "all"):
        cells = [side["per_class"][name] if name != "all" else side for side in (own, swapped)]
        lines.append(
            f"{name:<{width}}"
            + "".join(f"{cell['real']:>11.2f}{cell['generated']:>11.2f}" for cell in cells)
        )
    lines += [
        "",
        f"swap test: of {swap['count']} the class asked for wins {swap['asked']}, the class of the "
        f"mask's shape {swap['outline']}, another {swap['other']}",
        "",
        "asked for (row), seen (column), in per cent",
        " " * width + "".join(f"{name[:6]:>7}" for name in report["classes"]),
    ]
    for name in report["classes"]:
        row: dict[str, int] = report["confusion"][name]
        total = max(sum(row.values()), 1)
        shares = "".join(f"{100 * row[seen] / total:>7.0f}" for seen in report["classes"])
        lines.append(f"{name:<{width}}{shares}")
    return "\n".join(lines)
