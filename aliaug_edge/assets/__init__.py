"""What ships inside the package: the tiny pretrained base and its ready bundle."""

from __future__ import annotations

from pathlib import Path

from aliaug_edge.errors import BundleError

TINY = "tiny"
_ASSETS = Path(__file__).parent


def resolve_bundle(name_or_path: str | Path) -> Path:
    """The folder of a bundle: the word "tiny" is the shipped one, anything else is a path.

    A folder that is itself called tiny is reached by the string "./tiny" (a `Path` forgets the
    "./", so the command line hands its argument over as a string).

    Raises:
        BundleError: "tiny" is asked for and this installation does not have it.
    """
    if str(name_or_path) != TINY:
        return Path(name_or_path)
    bundle = tiny_bundle_dir()
    if not bundle.is_dir():
        raise BundleError(
            f"the shipped bundle is not in this installation ({bundle} is missing); install "
            "aliaug-edge again, or give the folder of a bundle (./tiny for a folder of that name)"
        )
    return bundle


def tiny_bundle_dir() -> Path:
    """Where the shipped bundle lies, whether it is there or not."""
    return _ASSETS / TINY / "bundle"
