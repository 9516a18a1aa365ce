"""What the judge of real data saw, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]
TITLES = {
    "ceiling": "real test defects (ceiling)",
    "pasted": "their pixels, same masks",
    "blank": "nothing inserted, same masks",
    "made": "made (label fidelity)",
}
ONE = " (guessing between the class and good surface)"
UNREAD = (
    "this judge cannot tell classes by texture here: real pixels under other classes' masks are "
    "not named above chance, so the swap score means nothing"
)


def real_report_text(report: Document) -> str:
    """The report for a person."""
    lines = [
        f"bundle {report['bundle']['name']}, judge of {report['learned']['defects']} real defects "
        f"and {report['learned']['made']} made lessons, chance {report['chance']:.2f}"
        + ONE
        * (len(report["classes"]) == 1),
        "",
        *_recognised(report),
        "",
        *_swapped(report["swap"], report["swap_left_out"]),
        "",
        *_preserved(report),
        *_varied(report),
    ]
    return "\n".join(lines)


def _recognised(report: Document) -> Iterator[str]:
    classes = report["classes"]
    width = max(len(title) for title in TITLES.values()) + 2
    yield (
        " " * width
        + f"{'share':>7}{'95 %':>16}{'nothing':>9}"
        + "".join(f"{name[:9]:>10}" for name in classes)
    )
    for key, title in TITLES.items():
        row = report[key]
        yield (
            f"{title:<{width}}{row['share']:>7.3f}{_interval(row):>16}{row['empty']:>9.2f}"
            + "".join(f"{row['per_class'][name]:>10.2f}" for name in classes)
        )
    yield (
        f"made reaches {_percent(report['made_of_ceiling'])} of the ceiling and "
        f"{_percent(report['made_of_pasted'])} of real pixels under the same masks"
    )


def _swapped(swap: Document | None, why_not: str | None) -> Iterator[str]:
    if swap is None:
        yield f"no swap test: {why_not}"
        return
    yield f"another class asked for than that of the mask (swap test, chance {swap['chance']:.2f})"
    for key, what in (("real", "real pixels seen through the mask (ceiling)"), ("made", "made")):
        if (row := swap[key]) is not None:
            request, shape = row["request"], row["shape"]
            yield (
                f"  {what}: the request wins {request['share']:.3f} {_interval(request)}, the "
                f"mask's shape {shape['share']:.3f} {_interval(shape)}, of {request['count']}"
            )
    if swap["reads"]:
        yield f"  made reaches {_percent(swap['made_of_real'])} of the ceiling"
    else:
        yield f"  {UNREAD}"


def _preserved(report: Document) -> Iterator[str]:
    yield "outside the mask (median; worst twentieth)"
    for key in ("raw", "blended"):
        row = report["preservation"][key]
        if row["count"]:
            psnr, apart, sharp = row["psnr_db"], row["perceptual"], row["sharpness"]
            yield (
                f"  {key}: PSNR {psnr['median']:.1f} dB ({psnr['p5']:.1f}), perceptual distance "
                f"{apart['median']:.4f} ({apart['p95']:.4f}), sharpness {sharp['median']:.2f} "
                f"({sharp['p5']:.2f})"
            )
    inside = ", ".join(f"{name} {ratio:.2f}" for name, ratio in report["sharpness_inside"].items())
    yield f"gradient energy under the mask, made over real: {inside}"


def _varied(report: Document) -> Iterator[str]:
    seeds, near = report["diversity"], report["memorisation"]
    yield (
        f"diversity: seeds at one place differ by {_number(seeds['seeds'])}, real defects of a "
        f"class by {_number(seeds['real'])}"
    )
    yield (
        f"nearest train defect: made {_number(near['made'])}, real test defects "
        f"{_number(near['real_test'])}; {_percent(near['closer'])} of the made are nearer than "
        "95 % of the real"
    )


def _interval(row: Document) -> str:
    return f"[{row['low']:.3f}, {row['high']:.3f}]"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
