"""Headers changed by hand, engines damaged at random places, engines of other machines."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.bundles import make_bundle

from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.engines.index import INDEX, add_engine, stored_engines
from aliaug_edge.engines.plan import (
    EngineError,
    Header,
    Here,
    Profile,
    check_fits,
    header_text,
    parse_header,
    read_plan,
)
from aliaug_edge.engines.store import FOLDER, device_key, find_plans

HERE = Here("8.7", "Orin", "10.3.0", "aarch64-linux")
PLAN = bytes(range(256)) * 8
COMMAND = "`ali-aug build B`"


def header(**changed: object) -> Header:
    made = Header(
        graph="encoder",
        key="k",
        plan="encoder-64x64-b1-aa.plan",
        plan_sha256=hashlib.sha256(PLAN).hexdigest(),
        plan_bytes=len(PLAN),
        onnx_sha256="0" * 64,
        built_for=HERE,
        precision="fp16",
        profile={"image": Profile((1, 3, 64, 64), (1, 3, 64, 64), (1, 3, 64, 64))},
        flags=("STRONGLY_TYPED",),
        optimization_level=3,
        workspace_mib=2048,
        version_compatible=False,
        parity={"psnr_db": 61.0, "max_abs": 0.01, "cases": []},
        build_s=12.5,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(make_bundle(tmp_path / "bundle"))


@pytest.fixture
def folder(bundle: Bundle) -> Path:
    """The device folder of `HERE`, with one engine in it."""
    place = bundle.root / FOLDER / device_key(HERE)
    place.mkdir(parents=True)
    (place / header().plan).write_bytes(PLAN)
    add_engine(bundle, place, "encoder-64x64-b1", header())
    return place


def header_file(folder: Path) -> Path:
    (path,) = [path for path in folder.glob("*.json") if path.name != INDEX]
    return path


def test_a_header_is_readable_and_comes_back_as_it_was() -> None:
    text = header_text(header())
    assert parse_header(text.encode(), "it", COMMAND) == header()
    document = json.loads(text)
    assert document["flags"] == ["STRONGLY_TYPED"]
    assert document["built_for"] == {
        "sm": "8.7",
        "device": "Orin",
        "tensorrt": "10.3.0",
        "platform": "aarch64-linux",
    }
    assert document["profile"]["image"]["max"] == [1, 3, 64, 64]


@pytest.mark.parametrize(
    ("there", "this"),
    [
        (
            Here("8.7", "Orin", "10.3.0", "aarch64-linux"),
            Here("9.0", "H100", "11.4", "x86_64-linux"),
        ),
        (HERE, replace(HERE, sm="11.0")),
        (HERE, replace(HERE, tensorrt="10.3.1")),
        (HERE, replace(HERE, platform="x86_64-linux")),
    ],
)
def test_an_engine_of_another_machine_names_both_sides_and_the_command(
    there: Here, this: Here
) -> None:
    with pytest.raises(EngineError) as caught:
        check_fits(header(built_for=there), this, "engine e", COMMAND)
    assert str(caught.value) == (
        f"engine e was built for SM {there.sm} / TensorRT {there.tensorrt} / {there.platform}, "
        f"this is SM {this.sm} / TensorRT {this.tensorrt} / {this.platform}: run {COMMAND}"
    )


def test_another_device_of_the_same_kind_is_no_other_machine() -> None:
    check_fits(header(), replace(HERE, device="Orin Nano"), "engine e", COMMAND)


@pytest.mark.parametrize(
    ("built", "running", "compatible", "fits"),
    [
        ("10.3.0", "10.3.0", False, True),
        ("10.3.0", "10.16.1", False, False),
        ("10.3.0", "10.16.1", True, True),
        ("10.16.1", "10.3.0", True, False),
        ("10.3.0", "11.4.0", True, True),
        ("8.6.1", "10.3.0", True, False),
        ("11.4.0", "10.16.1", True, False),
    ],
)
def test_only_version_compatible_plans_run_on_newer_runtimes(
    built: str, running: str, compatible: bool, fits: bool
) -> None:
    made = header(built_for=replace(HERE, tensorrt=built), version_compatible=compatible)
    if fits:
        check_fits(made, replace(HERE, tensorrt=running), "engine e", COMMAND)
        return
    with pytest.raises(EngineError, match=f"TensorRT {built} .* TensorRT {running}"):
        check_fits(made, replace(HERE, tensorrt=running), "engine e", COMMAND)


def changes() -> list[tuple[str, object]]:
    return [
        ("schema", 2),
        ("kind", "something"),
        ("plan", "../../bundle.json"),
        ("plan", "sub/x.plan"),
        ("plan_sha256", "zz"),
        ("plan_bytes", "2048"),
        ("profile", {"image": {"min": [1], "opt": [1, 2], "max": [1]}}),
        ("profile", {"image": {"min": [0], "opt": [1], "max": [1]}}),
        ("profile", {"image": {"min": [1]}}),
        ("built_for", {"sm": "8.7"}),
        ("built_for", []),
        ("version_compatible", "yes"),
        ("flags", None),
        ("unheard_of", 1),
    ]


@pytest.mark.parametrize(("name", "value"), changes())
def test_a_header_changed_by_hand_is_one_line(name: str, value: object) -> None:
    document = {**json.loads(header_text(header())), name: value}
    with pytest.raises(EngineError, match=re.escape(f"run {COMMAND}")) as caught:
        parse_header(json.dumps(document).encode(), "header h", COMMAND)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(json.loads(header_text(header()))))
def test_a_header_without_one_of_its_fields_is_refused(name: str) -> None:
    document = json.loads(header_text(header()))
    del document[name]
    with pytest.raises(EngineError, match=re.escape(f"run {COMMAND}")):
        parse_header(json.dumps(document).encode(), "header h", COMMAND)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "1", "{}"])
def test_what_is_no_header_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match=re.escape(f"run {COMMAND}")):
        parse_header(text.encode(), "header h", COMMAND)


def test_a_plan_is_read_only_whole(tmp_path: Path) -> None:
    path = tmp_path / header().plan
    path.write_bytes(PLAN)
    assert read_plan(tmp_path, header(), "engine e", COMMAND) == PLAN
    path.write_bytes(PLAN[:-1])
    with pytest.raises(EngineError, match="should have 2048 bytes and has 2047"):
        read_plan(tmp_path, header(), "engine e", COMMAND)
    path.unlink()
    with pytest.raises(EngineError, match="cannot be read"):
        read_plan(tmp_path, header(), "engine e", COMMAND)


def test_a_flipped_byte_anywhere_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(PLAN), 32):
        damaged = bytearray(PLAN)
        damaged[place] ^= 1 << int(rng.integers(8))
        (tmp_path / header().plan).write_bytes(damaged)
        with pytest.raises(EngineError, match="is damaged: expected SHA-256"):
            read_plan(tmp_path, header(), "engine e", COMMAND)


@pytest.mark.usefixtures("folder")
def test_an_engine_is_found_through_index_and_header(bundle: Bundle) -> None:
    ((stage, read),) = find_plans(bundle, "encoder", HERE, (64, 64), 1)
    assert (stage, read().data) == ("encoder", PLAN)
    load_bundle(bundle.root)


def test_a_byte_flipped_in_header_or_index_is_one_line_or_harmless(
    bundle: Bundle, folder: Path
) -> None:
    rng = np.random.default_rng(1)
    for path in (header_file(folder), folder / INDEX):
        whole = path.read_bytes()
        for place in rng.integers(0, len(whole), 40):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << int(rng.integers(7))
            path.write_bytes(damaged)
            try:
                ((_, read),) = find_plans(bundle, "encoder", HERE, (64, 64), 1)
                assert read().data == PLAN  # white space, or the engine's own name
            except EngineError as error:
                assert "\n" not in str(error) and "ali-aug build" in str(error)
        path.write_bytes(whole)


def test_a_header_that_the_index_does_not_know_is_refused(bundle: Bundle, folder: Path) -> None:
    path = header_file(folder)
    path.write_text(header_text(header(version_compatible=True)), encoding="utf-8")
    with pytest.raises(EngineError, match="its header was changed: expected SHA-256"):
        find_plans(bundle, "encoder", HERE, (64, 64), 1)


def test_an_index_that_leaves_its_folder_is_refused(bundle: Bundle, folder: Path) -> None:
    path = folder / INDEX
    document = json.loads(path.read_text())
    document["engines"]["encoder-64x64-b1"]["header"] = "../../bundle.json"
    path.write_text(json.dumps(document))
    with pytest.raises(
        EngineError, match=r"header: expected the name of a file beside it, got '\.\./"
    ):
        find_plans(bundle, "encoder", HERE, (64, 64), 1)


def test_where_a_plan_is_damaged_the_next_that_fits_takes_its_place(
    bundle: Bundle, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = header(
        plan="encoder-range.plan",
        plan_sha256=hashlib.sha256(PLAN[::-1]).hexdigest(),
        profile={"image": Profile((1, 3, 64, 64), (1, 3, 64, 64), (1, 3, 128, 128))},
    )
    (folder / wide.plan).write_bytes(PLAN[::-1])
    add_engine(bundle, folder, "encoder-range", wide)
    ((_, read),) = find_plans(bundle, "encoder", HERE, (64, 64), 1)
    assert read().data == PLAN and capsys.readouterr().err == ""
    (folder / header().plan).write_bytes(PLAN[:-1])
    assert read().data == PLAN[::-1]
    said = capsys.readouterr().err
    assert said.startswith("engine encoder-range takes its place: engine encoder-64x64-b1 is dam")
    assert said.count("\n") == 1
    (folder / wide.plan).unlink()
    with pytest.raises(EngineError, match="engine encoder-64x64-b1 is damaged"):
        read()


def test_a_plan_that_nothing_vouches_for_is_never_found(bundle: Bundle, folder: Path) -> None:
    (folder / INDEX).unlink()
    with pytest.raises(EngineError, match=r"no encoder engine in .* run `ali-aug build"):
        find_plans(bundle, "encoder", HERE, (64, 64), 1)


@pytest.mark.usefixtures("folder")
def test_engines_of_another_device_say_what_they_are_for(bundle: Bundle) -> None:
    with pytest.raises(
        EngineError, match=r"built for SM 8\.7 .*, this is SM 9\.0 .*: run `ali-aug"
    ):
        find_plans(bundle, "encoder", replace(HERE, sm="9.0"), (64, 64), 1)


@pytest.mark.usefixtures("folder")
def test_a_shape_outside_the_profile_names_the_options(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match=r"for 64x128 batch 2: .*--sizes 64x128 --batches 2`"):
        find_plans(bundle, "encoder", HERE, (64, 128), 2)


def test_an_engine_that_is_replaced_leaves_no_files(bundle: Bundle, folder: Path) -> None:
    other = header(plan="encoder-64x64-b1-bb.plan", build_s=1.0)
    (folder / other.plan).write_bytes(PLAN)
    add_engine(bundle, folder, "encoder-64x64-b1", other)
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".json", ".plan"]
    stored = stored_engines(bundle, folder)["encoder-64x64-b1"]
    assert not isinstance(stored, EngineError) and stored.header == other


def test_the_lean_runtime_takes_version_compatible_engines_alone(
    bundle: Bundle, folder: Path
) -> None:
    with pytest.raises(EngineError, match=r"not version-compatible, and only .* --version-compa"):
        find_plans(bundle, "encoder", HERE, (64, 64), 1, lean=True)
    add_engine(bundle, folder, "encoder-64x64-b1", header(version_compatible=True))
    assert find_plans(bundle, "encoder", HERE, (64, 64), 1, lean=True)
