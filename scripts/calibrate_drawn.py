"""Give a bundle of a base as it is the limits that drawn defects allow: writes its quality.json.

    python scripts/calibrate_drawn.py BUNDLE

No weight changes; the manifest vouches for the new file. A few seconds. Bundles that were trained
on photos have limits of their own, from those, and are refused.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from aliaug_edge import files
from aliaug_edge.bundle import MANIFEST, QUALITY, load_bundle, save_manifest
from aliaug_edge.errors import AliAugError
from aliaug_edge.quality.drawn import PER_CLASS, drawn_limits
from aliaug_edge.quality.limits import document


def calibrate_drawn(root: Path, per_class: int = PER_CLASS) -> float:
    """Write `root`/quality.json and the manifest anew; the share of drawn defects that limits
    found without them reject.

    Raises:
        AliAugError: `root` is no bundle, or one that was trained on photos.
    """
    bundle = load_bundle(root)
    if bundle.training_photos() is not None:
        raise AliAugError(
            f"{root} was trained on photos, and its limits come from those; expected the bundle of "
            "a base as it is"
        )
    limits = drawn_limits(min(bundle.sizes), per_class)
    files.write_json(root / QUALITY, document(limits))
    manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    plain = {key: manifest[key] for key in manifest if key not in ("schema_version", "files")}
    save_manifest(root, plain)
    return float(limits.about["false_rejects"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print(f"{calibrate_drawn(Path(sys.argv[1])):.1%} of drawn defects rejected")
    except AliAugError as error:
        sys.exit(str(error))
