"""The header of an engine: what its plan was built from and for, readable, beside the plan.

Deserialising a plan runs code, and a plan of another GPU or TensorRT ends the process, so a plan is
read only after its header was checked (`check_fits`) and its bytes are those that the header names
(`read_plan`). Flags and types are kept by name: their integers differ between TensorRT versions.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aliaug_edge import files
from aliaug_edge.engines.header_rules import HEADER
from aliaug_edge.errors import AliAugError
from aliaug_edge.rules import read_document, require_only

SCHEMA = 1
KIND = "aliaug-edge engine"


class EngineError(AliAugError):
    """An engine that cannot be used here, or could not be built."""


@dataclass(frozen=True)
class Here:
    """What an engine has to fit: compute capability ("8.7"), device name, TensorRT version
    ("10.3.0"), platform ("aarch64-linux")."""

    sm: str
    device: str
    tensorrt: str
    platform: str

    def __str__(self) -> str:
        return f"SM {self.sm} / TensorRT {self.tensorrt} / {self.platform}"


@dataclass(frozen=True)
class Profile:
    """Shapes of one input: the smallest, the one that kernels are chosen for, the largest."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]

    @property
    def static(self) -> bool:
        return self.min == self.max

    def holds(self, shape: tuple[int, ...]) -> bool:
        """Whether an input of `shape` can be fed."""
        return len(shape) == len(self.min) and all(
            low <= length <= high
            for low, length, high in zip(self.min, shape, self.max, strict=True)
        )


@dataclass(frozen=True)
class Header:
    """`graph` is encoder, unet, decoder or generator; `precision` fp32 | fp16; `built_for` the
    machine; `profile` by input name; `flags` what was set in TensorRT; `workspace_mib` None where
    there was no limit. `key` is the cache key (`building.jobs.cache_key`). `parity` holds the worst
    `psnr_db` and `max_abs` against the ONNX graph and the `cases` they were taken at, and is None
    where it was left out. `build_s` is how long the build took."""

    graph: str
    key: str
    plan: str
    plan_sha256: str
    plan_bytes: int
    onnx_sha256: str
    built_for: Here
    precision: str
    profile: Mapping[str, Profile]
    flags: tuple[str, ...]
    optimization_level: int
    workspace_mib: int | None
    version_compatible: bool
    parity: Mapping[str, Any] | None
    build_s: float


def header_text(header: Header) -> str:
    """The header as the JSON document that lies beside the plan."""
    return files.json_text({"kind": KIND, "schema": SCHEMA, **dataclasses.asdict(header)})


def parse_header(data: bytes, subject: str, command: str) -> Header:
    """The header that `header_text` wrote. `subject` and `command` are for the error.

    Raises:
        EngineError: it is something else, of another schema, or has a value that it cannot have.
    """
    try:
        document = read_document(data)
        kind, schema = document.pop("kind", None), document.pop("schema", None)
        if kind != KIND:
            raise ValueError(f"kind: expected {KIND!r}, got {reprlib.repr(kind)}")
    except ValueError as error:
        raise EngineError(f"{subject} is not an engine's header ({error}): run {command}") from None
    if schema != SCHEMA:
        raise EngineError(
            f"{subject} has schema {reprlib.repr(schema)}, this release reads {SCHEMA}: run "
            f"{command}"
        )
    try:
        require_only(document, HEADER)
    except ValueError as error:
        raise EngineError(f"{subject} is damaged ({error}): run {command}") from None
    return _header_from(document)


def check_fits(header: Header, here: Here, subject: str, command: str) -> None:
    """Refuse an engine of another machine before a byte of its plan is read.

    Raises:
        EngineError: names both sides and the command that mends it.
    """
    there = header.built_for
    fits = (
        there.sm == here.sm
        and there.platform == here.platform
        and version_fits(there.tensorrt, here.tensorrt, header.version_compatible)
    )
    if not fits:
        raise EngineError(f"{subject} was built for {there}, this is {here}: run {command}")


def read_plan(folder: Path, header: Header, subject: str, command: str) -> bytes:
    """The bytes of the plan, which are those that the header vouches for.

    Raises:
        EngineError: missing, truncated or changed.
    """
    path = folder / header.plan
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size == header.plan_bytes else b""
    except OSError as error:
        raise EngineError(
            f"{subject}: {path} cannot be read ({error.strerror or error}): run {command}"
        ) from error
    if size != header.plan_bytes:
        raise EngineError(
            f"{subject} is damaged: its plan should have {header.plan_bytes} bytes and has {size}: "
            f"run {command}"
        )
    actual = hashlib.sha256(data).hexdigest()
    if actual != header.plan_sha256:
        raise EngineError(
            f"{subject} is damaged: expected SHA-256 {header.plan_sha256}, got {actual}: "
            f"run {command}"
        )
    return data


def version_fits(built: str, running: str, version_compatible: bool) -> bool:
    """Whether a runtime takes a plan of another version.

    A plan belongs to the exact version that built it. A version-compatible one also runs on newer
    runtimes of its major version, and one of TensorRT 10 on 11 (NVIDIA's support matrix, 11.4).
    """
    if built == running:
        return True
    old, new = version_tuple(built), version_tuple(running)
    same_line = new[0] == old[0] or (old[0], new[0]) == (10, 11)
    return version_compatible and same_line and new >= old


def version_tuple(version: str) -> tuple[int, ...]:
    """(10, 3, 0) of "10.3.0"; what is no number ends it.

    Raises:
        EngineError: it does not begin with a number.
    """
    found = re.match(r"\d+(\.\d+)*", version)
    if found is None:
        raise EngineError(f"TensorRT says it is version {version!r}, which is none: reinstall it")
    return tuple(int(part) for part in found[0].split("."))


def _header_from(document: Mapping[str, Any]) -> Header:
    """Of a document that keeps `HEADER`'s rules."""
    profile = {
        name: Profile(*(tuple(entry[side]) for side in ("min", "opt", "max")))
        for name, entry in document["profile"].items()
    }
    made = {"built_for": Here(**document["built_for"]), "flags": tuple(document["flags"])}
    return Header(**{**document, **made, "profile": profile})
