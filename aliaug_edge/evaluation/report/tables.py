"""The tables of an evaluation: for the terminal, for Markdown, and as rows for HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aliaug_edge.evaluation.report.numbers import (
    UNKNOWN,
    chance,
    over_groups,
    over_groups_and_seeds,
    percent,
    plain,
    signed,
    signed_percent,
)
from aliaug_edge.evaluation.report.words import (
    QUICK,
    VERDICTS,
    dominance_sentence,
    gaps,
    verdict_sentence,
)

Document = Mapping[str, Any]
Table = tuple[list[str], list[list[str]]]

MEASURES = {"ap": "AP per image", "iou": "IoU", "f1": "F1", "auroc": "image AUROC over groups"}


def level_table(document: Document) -> Table:
    """Header and a row per condition, in the protocol's order."""
    left_out = document["left_out_class"]
    masks = any(row["pooled"]["map50_95"] for row in document["conditions"])
    header = ["condition", "AP per image", "95 % interval", "seed sd"]
    header += [f"without {left_out}"] if left_out else []
    header += ["IoU", "F1", "image AUROC"] + (["mask mAP50-95"] if masks else [])
    header += ["(pooled AP)", "runs"]
    rows = []
    for row in document["conditions"]:
        ap = row["ap"]
        cells = [row["name"], _mean(ap), _interval(ap), plain(ap and ap["seed_sd"])]
        cells += [_mean(row["ap_without"])] if left_out else []
        cells += [_mean(row["iou"]), _mean(row["f1"]), _mean(row["pooled"]["auroc"])]
        cells += [_mean(row["pooled"]["map50_95"])] if masks else []
        rows.append([*cells, _mean(row["pooled"]["ap"]), _runs(row["runs"])])
    return header, rows


def comparison_table(comparisons: Sequence[Document]) -> Table:
    """Header and a row per comparison that has a result."""
    header = ["AP per image", "", "difference", "95 % interval", "with seeds", "relative"]
    header += ["effect", "groups +/−", "p", "Holm p"]
    rows = []
    for row in comparisons:
        if row["difference"] is not None:
            rows.append(
                [
                    f"{row['a']} less {row['b']}",
                    row["kind"],
                    signed(row["difference"]),
                    over_groups(row, differences=True),
                    over_groups_and_seeds(row),
                    signed_percent(row["relative"]),
                    _effect(row),
                    f"{row['better']}/{row['worse']}",
                    chance(row["p_value"]),
                    chance(row["p_holm"]),
                ]
            )
    return header, rows


def otherwise_table(document: Document) -> Table:
    """The primary pair by the other measures."""
    header = ["measure", "difference", "95 % interval", "relative"]
    header += ["effect", "groups +/−", "p", "Holm p"]
    rows = []
    for row in document["primary_otherwise"]:
        without = f" without {', '.join(row['without'])}" if row["without"] else ""
        rows.append(
            [
                MEASURES[row["metric"]] + without,
                signed(row["difference"]),
                over_groups(row, differences=True),
                signed_percent(row["relative"]),
                _effect(row),
                f"{row['better']}/{row['worse']}",
                chance(row["p_value"]),
                chance(row["p_holm"]),
            ]
        )
    return header, rows


def class_table(document: Document) -> Table:
    """AP per image of each class, a row per condition; classes that share a group stand as one."""
    names = sorted({name for row in document["conditions"] for name in row["by_class"]})
    rows = [
        [row["name"], *(plain(row["by_class"].get(name)) for name in names)]
        for row in document["conditions"]
        if row["by_class"]
    ]
    return ["condition", *names], rows


def aim_table(document: Document) -> Table:
    """Each aim that applies, what came, and whether it is reached."""
    said = {True: "reached", False: "not reached", None: UNKNOWN}
    rows = [[row["aim"], row["came"], said[row["reached"]]] for row in document["aims"]]
    return ["aim", "came", ""], rows


def share_table(document: Document) -> Table:
    """What synthetic photos alone reach of the classic condition."""
    rows = [[entry["condition"], percent(entry["share"])] for entry in document["share_of_real"]]
    return ["synthetic alone", f"share of {document['primary']['b']}"], rows


def insertion_table(document: Document) -> Table:
    """Header and a row per generator: what it was asked for, and what became of it."""
    rows = [
        [
            f"fold {row['fold']}, class by {row['carrier']}",
            str(row["asked"]),
            str(row["kept"]),
            _rejected(row),
        ]
        for row in document["insertions"]
    ]
    return ["insertions", "asked", "kept", "rejected"], rows


def _rejected(row: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in row["rejected"].items())
    all_the_same = row["rejected"] and row["kept"] == row["asked"]
    return (counts or "none") + (" (kept all the same)" if all_the_same else "")


def table_text(document: Document) -> str:
    """All of it for a terminal, ending in a newline."""
    lines = [QUICK, ""] if document["quick"] else []
    lines += [*_aligned(level_table(document)), ""]
    comparisons = comparison_table(document["comparisons"])
    lines += [*_aligned(comparisons), ""] if comparisons[1] else []
    otherwise = otherwise_table(document)
    lines += [*_aligned(otherwise), ""] if otherwise[1] else []
    lines += [*_aligned(share_table(document)), ""] if document["share_of_real"] else []
    lines += [*_aligned(insertion_table(document)), ""] if document["insertions"] else []
    lines += [*_aligned(aim_table(document)), ""] if document["aims"] else []
    lines += [*gaps(document)]
    lines += [f"{VERDICTS[document['primary']['verdict']]}. {verdict_sentence(document)}"]
    return "".join(f"{line}\n" for line in lines)


def table_markdown(document: Document) -> str:
    """Levels and comparisons for a README: numbers, the verdict, and what is missing."""
    parts = [f"**{QUICK}**"] if document["quick"] else []
    parts.append(f"**{VERDICTS[document['primary']['verdict']]}.** {verdict_sentence(document)}")
    parts.append(_markdown(level_table(document)))
    comparisons = comparison_table(document["comparisons"])
    parts += [_markdown(comparisons)] if comparisons[1] else []
    parts += [_markdown(aim_table(document))] if document["aims"] else []
    parts += [dominance_sentence(document["test_set"]), *gaps(document)]
    return "\n\n".join(parts) + "\n"


def _aligned(table: Table) -> list[str]:
    """First column to the left, the rest to the right."""
    header, rows = table
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *rows]
    ]


def _markdown(table: Table) -> str:
    header, rows = table
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        for row in [header, rule, *rows]
    )


def _effect(row: Document) -> str:
    return f"{row['rank_biserial']:+.2f}".replace("-", "−")


def _mean(entry: Document | None) -> str:
    return plain(entry["mean"] if entry else None)


def _interval(entry: Document | None) -> str:
    return over_groups(entry) if entry else UNKNOWN


def _runs(runs: Document) -> str:
    """Done of planned, and how many of them failed."""
    failed = f", {runs['failed']} failed" if runs["failed"] else ""
    return f"{runs['done']}/{runs['planned']}{failed}"
