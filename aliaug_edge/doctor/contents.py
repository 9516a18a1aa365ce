"""What a bundle holds, as plain data and as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aliaug_edge.bundle import Bundle, spec_document


def bundle_contents(bundle: Bundle) -> dict[str, Any]:
    """JSON data of a verified bundle; like its manifest, with the masks of each class counted."""
    bank = bundle.mask_bank()
    return {
        "name": bundle.name,
        "sha256": bundle.sha256,
        "conditioning": bundle.conditioning,
        "label_carrier": bundle.label_carrier,
        "precision": bundle.precision,
        "classes": [
            {**spec_document(spec), "masks": len(bank[spec.name])} for spec in bundle.classes
        ],
        "sizes": [list(size_hw) for size_hw in bundle.sizes],
        "latent": {"channels": bundle.latent_channels, "factor": bundle.latent_factor},
        "preprocessing": dict(bundle.preprocessing),
        "graphs": {name: spec_document(graph) for name, graph in bundle.graphs.items()},
        "parity": dict(bundle.parity),
        "provenance": dict(bundle.provenance),
        "files": {name: dict(facts) for name, facts in bundle.files.items()},
    }


def contents_text(contents: dict[str, Any]) -> str:
    """`bundle_contents` for people."""
    return "\n".join(_lines(contents))


def _lines(contents: dict[str, Any]) -> Iterator[str]:
    yield f"bundle {contents['name']}   verified   SHA-256 {contents['sha256']}"
    yield (
        f"conditioning {contents['conditioning']}   label carrier {contents['label_carrier']}   "
        f"precision {contents['precision']}"
    )
    latent = contents["latent"]
    sizes = ", ".join(f"{height}×{width}" for height, width in contents["sizes"])
    yield f"sizes {sizes}   latent 1/{latent['factor']} with {latent['channels']} channels"
    yield from _section("classes", _class_lines(contents["classes"]))
    for name, graph in sorted(contents["graphs"].items()):
        yield from _section(f"graph {name} ({graph['path']})", _graph_lines(graph))
    yield from _section("parity", _parity_lines(contents["parity"]))
    for title in ("provenance", "preprocessing"):
        yield from _section(title, _tree_lines(contents[title]))
    yield from _section("files", _file_lines(contents["files"]))


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield ""
    yield title
    yield from (f"  {line}" for line in lines)


def _class_lines(classes: list[dict[str, Any]]) -> Iterator[str]:
    for spec in classes:
        colour = ", ".join(f"{value:.2f}" for value in spec["colour"])
        yield f"{spec['name']:16} {spec['prompt']!r}   colour ({colour})   {spec['masks']} masks"


def _graph_lines(graph: dict[str, Any]) -> Iterator[str]:
    for side in ("inputs", "outputs"):
        for tensor in graph[side]:
            shape = ", ".join(str(dimension) for dimension in tensor["shape"])
            yield f"{side[:-1]:6} {tensor['name']:14} {tensor['dtype']:8} ({shape})"


def _tree_lines(tree: Any) -> Iterator[str]:
    """Nested dicts as indented lines; anything else in one line."""
    for key, value in sorted(tree.items()):
        if isinstance(value, dict):
            yield f"{key}"
            yield from (f"  {line}" for line in _tree_lines(value))
        else:
            yield f"{key}: {value}"


def _parity_lines(parity: dict[str, Any]) -> Iterator[str]:
    """What was asked, and the worst of each tensor over sizes and seeds; `--json` has every row."""
    yield from _tree_lines({key: value for key, value in parity.items() if key != "rows"})
    rows = [row for row in parity.get("rows") or [] if row.get("psnr_db") is not None]
    for name in dict.fromkeys(row.get("tensor", "?") for row in rows):
        worst = min(row["psnr_db"] for row in rows if row.get("tensor", "?") == name)
        yield f"{name:24} {worst:6.1f} dB at worst"


def _file_lines(files: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, facts in sorted(files.items()):
        yield f"{facts['bytes']:>12,} bytes  {facts['sha256']}  {name}"
