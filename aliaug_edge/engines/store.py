"""The engines inside a bundle: engines/<device key>/, with an index that vouches for them.

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
import functools
import hashlib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aliaug_edge import files
from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.plan import (
    SCHEMA,
    EngineError,
    Header,
    Here,
    check_fits,
    header_text,
    parse_header,
    read_plan,
)
from aliaug_edge.engines.shapes import bind_specs, free_dimensions

FOLDER = "engines"
INDEX = "index.json"
STAGES = ("encoder", "unet", "decoder")
FUSED = "generator"

Shapes = Mapping[str, tuple[int, ...]]
Plans = tuple[tuple[str, Callable[[], bytes]], ...]


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


def device_key(here: Here) -> str:
    """The name of the folder for one kind of device, e.g. "aarch64-linux-sm87-trt10.3.0"."""
    key = f"{here.platform}-sm{here.sm.replace('.', '')}-trt{here.tensorrt}"
    return re.sub(r"[^A-Za-z0-9._-]", "_", key)


def build_command(bundle: Bundle) -> str:
    """What to type to have engines for this machine."""
    return f"`ali-aug build {shlex.quote(str(bundle.root))}`"


def stored_engines(bundle: Bundle, folder: Path) -> dict[str, Stored | EngineError]:
    """By name, what the index of a device folder lists: an engine, or what is wrong with it.

    Raises:
        EngineError: the index is damaged, or is that of another bundle.
    """
    command = build_command(bundle)
    listed = _read_index(bundle, folder, command)
    found: dict[str, Stored | EngineError] = {}
    for name, entry in sorted(listed.items()):
        try:
            header = _read_header(folder, name, entry, command)
            found[name] = Stored(name, folder, entry["header"], header, command)
        except EngineError as error:
            found[name] = error
    return found


def add_engine(bundle: Bundle, folder: Path, name: str, header: Header) -> None:
    """Make the plan `header.plan`, which lies in `folder`, an engine called `name`.

    What `name` was before is replaced, and every file that nothing names any more is removed.
    """
    text = header_text(header)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    path = folder / f"{name}-{digest[:8]}.json"
    files.write_text(path, text)
    added = Stored(name, folder, path.name, header, build_command(bundle))
    engines = {**readable_engines(bundle, folder), name: added}
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


def find_plans(
    bundle: Bundle,
    graph: str,
    here: Here,
    size_hw: tuple[int, int] | None,
    batch: int | None,
) -> Plans:
    """The plans that run `graph` here at `size_hw` and `batch`, as (stage, read) in their order.

    The generator may be one fused engine or the three stages; the stages are taken where both are
    there. `read` gives the plan's bytes and checks them.

    Raises:
        EngineError: there are none; says what there is, and what to run.
    """
    if graph != FUSED:
        return (_plan(bundle, graph, here, size_hw, batch),)
    try:
        return tuple(_plan(bundle, stage, here, size_hw, batch) for stage in STAGES)
    except EngineError as error:
        with contextlib.suppress(EngineError):
            return (_plan(bundle, FUSED, here, size_hw, batch),)
        raise error


def _plan(
    bundle: Bundle,
    graph: str,
    here: Here,
    size_hw: tuple[int, int] | None,
    batch: int | None,
) -> tuple[str, Callable[[], bytes]]:
    problems: list[EngineError] = []
    fitting: list[Stored] = []
    for made in _all_of(bundle, graph, problems):
        try:
            check_fits(made.header, here, made.subject, made.command)
            fitting.append(made)
        except EngineError as error:
            problems.append(error)
    chosen = [made for made in fitting if _holds(bundle, made.header, size_hw, batch)]
    if chosen:  # a static engine before one with a range, an engine of this version first
        best = min(chosen, key=lambda made: _preference(made, here))
        return graph, functools.partial(best.read)
    if fitting:
        raise EngineError(_not_built_for(graph, fitting, size_hw, batch))
    if problems:
        raise problems[0]
    raise EngineError(f"no {graph} engine in {bundle.root}: run {build_command(bundle)}")


def _all_of(bundle: Bundle, graph: str, problems: list[EngineError]) -> list[Stored]:
    """Engines of `graph` in all device folders; what cannot be read is added to `problems`."""
    found: list[Stored] = []
    root = bundle.root / FOLDER
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    for folder in folders:
        try:
            for name, made in stored_engines(bundle, folder).items():
                if isinstance(made, EngineError):
                    if name.startswith(f"{graph}-"):
                        problems.append(made)
                elif made.header.graph == graph:
                    found.append(made)
        except EngineError as error:
            problems.append(error)
    return found


def _holds(
    bundle: Bundle, header: Header, size_hw: tuple[int, int] | None, batch: int | None
) -> bool:
    specs = bind_specs(bundle.graphs[header.graph].inputs, free_dimensions(size_hw, batch))
    for spec in specs:
        profile = header.profile.get(spec.name)
        if profile is None:
            return False
        shape = tuple(
            low if isinstance(length, str) else length
            for length, low in zip(spec.shape, profile.min, strict=True)
        )
        if not profile.holds(shape):
            return False
    return True


def _preference(made: Stored, here: Here) -> tuple[bool, bool, str]:
    dynamic = not all(profile.static for profile in made.header.profile.values())
    return dynamic, made.header.built_for.tensorrt != here.tensorrt, made.name


def _not_built_for(
    graph: str, fitting: Sequence[Stored], size_hw: tuple[int, int] | None, batch: int | None
) -> str:
    wanted = " ".join(
        part
        for part in (
            f"{size_hw[0]}x{size_hw[1]}" if size_hw else "",
            f"batch {batch}" if batch else "",
        )
        if part
    )
    options = (f" --sizes {size_hw[0]}x{size_hw[1]}" if size_hw else "") + (
        f" --batches {batch}" if batch else ""
    )
    command = fitting[0].command[:-1] + options + "`"
    have = ", ".join(made.name for made in fitting)
    return f"no {graph} engine for {wanted}: there are {have}; run {command}"


def _read_index(bundle: Bundle, folder: Path, command: str) -> dict[str, dict[str, str]]:
    path = folder / INDEX
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        schema, owner = document["schema"], document["bundle_sha256"]
        listed = {
            str(name): {"header": str(entry["header"]), "sha256": str(entry["sha256"])}
            for name, entry in document["engines"].items()
        }
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise EngineError(f"{path} is damaged ({error!r}): run {command}") from None
    if schema != SCHEMA:
        raise EngineError(f"{path} has schema {schema!r}, expected {SCHEMA}: run {command}")
    if owner != bundle.sha256:
        raise EngineError(
            f"{path} vouches for engines of another bundle (bundle.json {str(owner)[:12]}…, here "
            f"{bundle.sha256[:12]}…): run {command}"
        )
    return listed


def _read_header(folder: Path, name: str, entry: Mapping[str, str], command: str) -> Header:
    subject = f"engine {name}"
    if Path(entry["header"]).name != entry["header"] or "\\" in entry["header"]:
        raise EngineError(f"{subject}: its header lies outside its folder; refused: run {command}")
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
    return parse_header(data.decode("utf-8", errors="replace"), f"{subject}: header", command)
