"""Headers and indexes changed at random places, their hashes renewed: one line or no harm."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ort_toolchain
from support.bundles import make_bundle

from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.engines.building import BuildOptions, Outcome, build_bundle, plan_builds
from aliaug_edge.engines.building.machine import Machine
from aliaug_edge.engines.building.text import outcome_line, plan_text
from aliaug_edge.engines.index import INDEX, readable_engines
from aliaug_edge.engines.plan import EngineError, Here
from aliaug_edge.engines.store import FOLDER, device_key, find_plans
from aliaug_edge.errors import AliAugError
from aliaug_edge.generation.trial import trial_feeds

HERE = Here("8.7", "Orin", ort_toolchain.VERSION, "aarch64-linux")
MACHINE = Machine(HERE, 8.0, unified=True, toolchain=ort_toolchain.NAME)
OPTIONS = BuildOptions(graphs=("decoder",), sizes=((64, 64),))
ROUNDS = 300

Random = np.random.Generator
ODD: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: -1,
    lambda: 0,
    lambda: 10**400,
    lambda: 1.5,
    lambda: float("nan"),
    lambda: float("-inf"),
    lambda: "",
    lambda: "x",
    lambda: "a\nb",
    lambda: "a\0b",
    lambda: "a\udc80b",
    lambda: "../../bundle.json",
    lambda: "9" * 5000,
    lambda: "x" * 5000,
    lambda: [],
    lambda: [1],
    lambda: [[1, 2], {"min": 1}],
    lambda: {},
    lambda: {"min": [1], "opt": [1], "max": [1]},
    lambda: {"\udc80": "\n"},
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with an engine that was really built and proven."""
    place = tmp_path_factory.mktemp("headers")
    bundle = load_bundle(make_bundle(place / "bundle", sizes=((64, 64),)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        build_bundle(bundle, OPTIONS, MACHINE, functools.partial(trial_feeds, bundle))
    return bundle


@pytest.fixture
def folder(built: Bundle, tmp_path: Path) -> Iterator[Path]:
    """Its device folder, put back as it was afterwards."""
    place = built.root / FOLDER / device_key(HERE)
    shutil.copytree(place, tmp_path / "whole")
    yield place
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "whole", place)


def header_file(folder: Path) -> Path:
    (path,) = [path for path in folder.glob("*.json") if path.name != INDEX]
    return path


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a JSON document."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    return [(value, key) for key in keys] + [p for key in keys for p in places(value[key])]


def change(document: Any, rng: Random) -> Any:
    """`document` with one thing dropped, doubled, wrapped, lengthened or replaced by an odd one."""
    found = places(document)
    holder, key = found[int(rng.integers(len(found)))]
    old = holder[key]
    match int(rng.integers(6)):
        case 0:
            del holder[key]
        case 1:
            holder[key] = [old]
        case 2 if isinstance(old, list):  # another rank
            holder[key] = old[:-1] if rng.integers(2) else [*old, 1]
        case 3 if isinstance(old, str):
            place = int(rng.integers(len(old) + 1))
            odd = str(rng.choice(["\0", "\n", "\ud800", "/", "\\", "\u202e", ".."]))
            holder[key] = old[:place] + odd + old[place:]
        case 4 if isinstance(holder, dict):
            holder["unheard_of"] = old
        case _:
            holder[key] = ODD[int(rng.integers(len(ODD)))]()
    return document


def flip(data: bytes, rng: Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def mutate(data: bytes, rng: Random) -> bytes:
    if not rng.integers(4):
        return flip(data, rng)
    return json.dumps(change(json.loads(data), rng)).encode()


def renew(folder: Path, header: bytes) -> None:
    """Have the index vouch for these bytes."""
    path = header_file(folder)
    path.write_bytes(header)
    document = json.loads((folder / INDEX).read_text())
    for entry in document["engines"].values():
        entry["sha256"] = hashlib.sha256(header).hexdigest()
    (folder / INDEX).write_text(json.dumps(document))


def use(bundle: Bundle) -> list[str]:
    """What a run and a build read of a device folder; what they said instead."""
    said = []
    for graph in ("decoder", "encoder"):
        try:
            for _, read in find_plans(bundle, graph, HERE, (64, 64), 1):
                read()
        except AliAugError as error:
            said.append(str(error))
    place = bundle.root / FOLDER / device_key(HERE)
    for name, stored in readable_engines(bundle, place).items():
        outcome_line(Outcome(name, False, place, stored.header)).encode()
    plan_text(plan_builds(bundle, OPTIONS, MACHINE)).encode()
    return said


@pytest.mark.parametrize("which", ["header", "index"])
def test_whatever_is_changed_is_one_line_that_names_the_cure_or_harmless(
    built: Bundle, folder: Path, which: str
) -> None:
    rng = np.random.default_rng(20)
    index, header = (folder / INDEX).read_bytes(), header_file(folder).read_bytes()
    refused = 0
    for _ in range(ROUNDS):
        if which == "header":
            (folder / INDEX).write_bytes(index)
            renew(folder, mutate(header, rng))
        else:
            (folder / INDEX).write_bytes(mutate(index, rng))
        for line in use(built):
            line.encode()  # can be printed
            assert line.isprintable() and len(line) < 1200
            assert "ali-aug build" in line
            refused += "damaged" in line
    assert refused > ROUNDS / 4  # the changes were seen


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("parity", {}, "parity: expected null or psnr_db, max_abs and cases, got {}"),
        (
            "parity",
            {"psnr_db": 50.0, "max_abs": 0.1, "cases": [{"batch": 1}]},
            "parity: expected null or psnr_db",
        ),
        ("parity", {"psnr_db": float("nan"), "max_abs": 0.1, "cases": []}, "parity: expected"),
        ("plan", "a\0b.plan", "plan: expected the name of a file beside it, got 'a\\x00b.plan'"),
        ("precision", "int4", "precision: expected fp32 or fp16, got 'int4'"),
        (
            "built_for",
            {"sm": "8.7", "device": "Orin", "tensorrt": "x", "platform": "aarch64-linux"},
            "built_for: expected sm, device, tensorrt (a version) and platform, got {",
        ),
        (
            "profile",
            {"denoised": {"min": [1, 4], "opt": [1, 4], "max": [1, 4]}},
            "profile: expected the inputs and ranks {",
        ),
        ("graph", "vae", "graph: expected one of decoder, encoder"),
    ],
)
def test_a_wrong_value_says_file_expected_and_got(
    built: Bundle, folder: Path, name: str, value: object, said: str
) -> None:
    renew(
        folder,
        json.dumps({**json.loads(header_file(folder).read_bytes()), name: value}).encode(),
    )
    with pytest.raises(EngineError, match="ali-aug build") as caught:
        find_plans(built, "decoder", HERE, (64, 64), 1)
    assert said in str(caught.value) and str(header_file(folder)) in str(caught.value)


def test_an_engine_with_a_damaged_header_is_built_again(
    built: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    renew(
        folder,
        json.dumps({**json.loads(header_file(folder).read_bytes()), "parity": {}}).encode(),
    )
    (made,) = build_bundle(built, OPTIONS, MACHINE, functools.partial(trial_feeds, built))
    assert made.built and made.header.parity is not None
