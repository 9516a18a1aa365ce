"""The index of a device folder, engines/<device key>/ of a bundle, which vouches for its engines.

bundle.json never changes once a bundle is exported, so each device folder has an index of its own:
the SHA-256 of bundle.json and, by engine, of its header; the header has the SHA-256 of its plan. A
plan that no such chain reaches is never opened. The chain finds damage, mistakes and files of
another bundle; it cannot stop somebody who may write to the bundle folder, and so could change
bundle.json as well.

Replacing the index is the one step that makes a new engine count; a build that dies before it
leaves files that nothing names, which the next build sweeps.
"""

from __future__ import annotations

import contextlib
import hashlib
import reprlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aliaug_edge import files
from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.header_rules import ENTRY, FILE
from aliaug_edge.engines.plan import (
    SCHEMA,
    EngineError,
    Header,
    header_text,
    parse_header,
    read_plan,
)
from aliaug_edge.rules import HASH, OBJECT, Rule, read_document, require_only

INDEX = "index.json"
_INDEX: Mapping[str, Rule] = {
    "schema": ("a number", lambda _: True),
    "bundle_sha256": HASH,
    "engines": OBJECT,
}


@dataclass(frozen=True)
class Stored:
    """An engine that the index of `folder` vouches for."""

    name: str
    folder: Path
    header_file: str
    header: Header
    command: str

    def read(self) -> bytes:
        """The plan, checked. Raises: EngineError."""
        return read_plan(self.folder, self.header, self.subject, self.command)

    @property
    def subject(self) -> str:
        return f"engine {self.name}"


def build_command(bundle: Bundle) -> str:
    """What to type to have engines for this machine."""
    return f"`ali-aug build {shlex.quote(str(bundle.root))}`"


def stored_engines(bundle: Bundle, folder: Path) -> dict[str, Stored | EngineError]:
    """By name, what the index of a device folder lists: an engine, or what is wrong with it.

    Raises:
        EngineError: the index is damaged, or is that of another bundle.
    """
    command = build_command(bundle)
    owner, listed = _read_index(folder, command)
    if listed and owner != bundle.sha256:
        raise EngineError(
            f"{folder / INDEX} vouches for engines of another bundle (bundle.json {owner[:12]}…, "
            f"here {bundle.sha256[:12]}…): run {command}"
        )
    return _engines_of(bundle, folder, listed, command)


def add_engine(bundle: Bundle, folder: Path, name: str, header: Header) -> None:
    """Make the plan `header.plan`, which lies in `folder`, an engine called `name`.

    What `name` was before is replaced, and every file that nothing names any more is removed.
    """
    text = header_text(header)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    path = folder / f"{name}-{digest[:8]}.json"
    files.write_text(path, text)
    added = Stored(name, folder, path.name, header, build_command(bundle))
    _write_index(bundle, folder, {**readable_engines(bundle, folder), name: added})


def adopt_engines(bundle: Bundle, folder: Path, onnx_sha256: Mapping[str, str]) -> None:
    """Vouch for engines that came with an older export of this bundle, as far as their graphs are
    still the same: `onnx_sha256` by graph. Does nothing where the index is this bundle's already.
    """
    command = build_command(bundle)
    try:
        owner, listed = _read_index(folder, command)
    except EngineError:  # the next engine replaces it
        return
    if not listed or owner == bundle.sha256:
        return
    found = _engines_of(bundle, folder, listed, command).values()
    kept = {
        made.name: made
        for made in found
        if isinstance(made, Stored)
        and onnx_sha256.get(made.header.graph) == made.header.onnx_sha256
    }
    _write_index(bundle, folder, kept)


def readable_engines(bundle: Bundle, folder: Path) -> dict[str, Stored]:
    """`stored_engines` without those that are damaged; a damaged index lists none."""
    try:
        found = stored_engines(bundle, folder)
    except EngineError:
        return {}
    return {name: made for name, made in found.items() if isinstance(made, Stored)}


def sweep(folder: Path, engines: Iterable[Stored]) -> None:
    """Remove from a device folder, which is ours, what is neither the index nor of `engines`."""
    named = {INDEX}.union(*({made.header_file, made.header.plan} for made in engines))
    files.remove_temporaries(folder)
    for path in sorted(folder.iterdir()):
        if path.name not in named and path.suffix in (".plan", ".json") and path.is_file():
            with contextlib.suppress(OSError):
                path.unlink()


def _engines_of(
    bundle: Bundle, folder: Path, listed: Mapping[str, Mapping[str, str]], command: str
) -> dict[str, Stored | EngineError]:
    found: dict[str, Stored | EngineError] = {}
    for name, entry in sorted(listed.items()):
        try:
            header = _read_header(bundle, folder, name, entry, command)
            found[name] = Stored(name, folder, entry["header"], header, command)
        except EngineError as error:
            found[name] = error
    return found


def _write_index(bundle: Bundle, folder: Path, engines: Mapping[str, Stored]) -> None:
    document = {
        "schema": SCHEMA,
        "bundle_sha256": bundle.sha256,
        "engines": {
            made.name: {
                "header": made.header_file,
                "sha256": files.sha256_of_file(folder / made.header_file),
            }
            for made in engines.values()
        },
    }
    files.write_json(folder / INDEX, document)
    sweep(folder, engines.values())


def _read_index(folder: Path, command: str) -> tuple[str, dict[str, dict[str, str]]]:
    """(SHA-256 of the bundle.json that it is for, entries by engine)."""
    path = folder / INDEX
    if not path.is_file():
        return "", {}
    try:
        document = read_document(path.read_bytes())
        if document.get("schema") == SCHEMA:
            require_only(document, _INDEX)
            for name, entry in document["engines"].items():
                require_only({"name": name}, {"name": FILE})
                require_only(entry, ENTRY)
    except OSError as error:
        raise EngineError(
            f"{path} cannot be read ({error.strerror or error}): run {command}"
        ) from None
    except ValueError as error:
        raise EngineError(f"{path} is damaged ({error}): run {command}") from None
    schema = document.get("schema")
    if schema != SCHEMA:
        raise EngineError(
            f"{path} has schema {reprlib.repr(schema)}, expected {SCHEMA}: run {command}"
        )
    return document["bundle_sha256"], document["engines"]


def _read_header(
    bundle: Bundle, folder: Path, name: str, entry: Mapping[str, str], command: str
) -> Header:
    subject = f"engine {name}"
    path = folder / entry["header"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EngineError(
            f"{subject}: {path} cannot be read ({error.strerror or error}): run {command}"
        ) from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != entry["sha256"]:
        raise EngineError(
            f"{subject}: its header was changed: expected SHA-256 {entry['sha256']}, got {actual}: "
            f"run {command}"
        )
    header = parse_header(data, f"{subject}: header {path}", command)
    _check_graph(bundle, header, f"{subject}: header {path}", command)
    return header


def _check_graph(bundle: Bundle, header: Header, subject: str, command: str) -> None:
    """Whether the header speaks of a graph of this bundle, and of that graph's inputs."""
    spec = bundle.graphs.get(header.graph)
    if spec is None:
        there = ", ".join(sorted(bundle.graphs))
        raise EngineError(
            f"{subject} is damaged (graph: expected one of {there}, got "
            f"{reprlib.repr(header.graph)}): run {command}"
        )
    wanted = {tensor.name: len(tensor.shape) for tensor in spec.inputs}
    found = {name: len(shapes.min) for name, shapes in header.profile.items()}
    if found != wanted:
        raise EngineError(
            f"{subject} is damaged (profile: expected the inputs and ranks {wanted} of "
            f"{header.graph}, got {reprlib.repr(found)}): run {command}"
        )
