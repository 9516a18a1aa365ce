"""The calls of a build, in each version's recorded bindings: what they lack fails here too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.recorded_trt import recorded

from aliaug_edge.engines.building import tensorrt
from aliaug_edge.engines.building.jobs import BuildJob, job_from
from aliaug_edge.engines.building.toolchain import Made, Watch
from aliaug_edge.engines.plan import EngineError, Profile

STATIC = Profile((1, 3, 64, 64), (1, 3, 64, 64), (1, 3, 64, 64))
RANGE = Profile((1, 1, 64, 64), (1, 1, 64, 64), (4, 1, 64, 96))
MODERN = ["10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106"]


def job(folder: Path, **changed: Any) -> BuildJob:
    made = BuildJob(
        name="encoder",
        onnx=str(folder / "g.onnx"),
        plan=str(folder / "plan"),
        precision="fp16",
        profile={"image": STATIC, "mask": RANGE},
        optimization_level=4,
        workspace_mib=512,
        version_compatible=True,
        timing_cache=str(folder / "timing"),
        timing_cache_out=str(folder / "timing.new"),
    )
    return replace(made, **changed)


def build(
    monkeypatch: pytest.MonkeyPatch, version: str, asked: BuildJob, watch: Watch
) -> tuple[Made, list[Any]]:
    said: list[Any] = []

    def made(config: Any) -> bytes | None:
        monitor = getattr(config, "progress_monitor", None)
        if monitor is None:  # 8.6 has none
            return b"plan"
        monitor.phase_start("timing", None, 2)
        going = all(monitor.step_complete("timing", step) for step in range(2))
        monitor.phase_finish("timing")
        return b"plan" if going else None

    trt = recorded(version, said, ["image", "mask"], made)
    monkeypatch.setattr(tensorrt, "_module", lambda: trt)
    return tensorrt.build(asked, watch), said


@pytest.mark.parametrize("version", MODERN)
def test_from_10_3_on_types_come_from_the_graph(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    heard: list[tuple[str, int, int]] = []
    watch = Watch(lambda *what: heard.append(what))
    made, said = build(monkeypatch, version, job(tmp_path), watch)
    assert made.flags == ("STRONGLY_TYPED", "VERSION_COMPATIBLE")
    assert heard == [("timing", 0, 2), ("timing", 1, 2), ("timing", 2, 2)]
    assert (tmp_path / "plan").read_bytes() == b"plan"
    assert (tmp_path / "timing.new").read_bytes() == b"timings"
    flags = [getattr(value[0], "name", "") for name, value in said if name == "set_flag"]
    assert set(flags) == {"NATIVE_INSTANCENORM", "VERSION_COMPATIBLE"}
    assert ("builder_optimization_level =", 4) in said
    assert ("shape =", (1, 3, 64, 64)) in said
    assert ("set_shape", ("mask", RANGE.min, RANGE.opt, RANGE.max)) in said
    (limit,) = [value[1] for name, value in said if name == "set_memory_pool_limit"]
    assert limit == 512 * 2**20


def test_8_6_sets_the_fp16_flag_and_asks_for_fp32_layers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watch = Watch(lambda *_: None)
    made, said = build(monkeypatch, "8.6.1", job(tmp_path), watch)
    assert {"EXPLICIT_BATCH", "FP16", "PREFER_PRECISION_CONSTRAINTS"} < set(made.flags)
    assert [name for name, _ in said if name == "precision ="] == ["precision ="]
    fp32, _ = build(monkeypatch, "8.6.1", job(tmp_path, precision="fp32"), watch)
    assert "FP16" not in fp32.flags


@pytest.mark.parametrize("version", ["8.6.1", *MODERN])
def test_normalisation_is_a_layer_wherever_the_parser_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    """8.6 makes a plugin of it else, which a version-compatible plan cannot hold."""
    _, said = build(monkeypatch, version, job(tmp_path), Watch(lambda *_: None))
    flags = [value[0].name for name, value in said if name == "set_flag"]
    assert flags[0] == "NATIVE_INSTANCENORM"  # before the graph is parsed
    assert [name for name, _ in said].index("set_flag") < [name for name, _ in said].index(
        "parse_from_file"
    )


@pytest.mark.parametrize(("version", "wanted"), [("8.6.1", 1), ("10.3.0", 0), ("11.4.0.106", 0)])
def test_before_10_plugins_are_registered_before_the_graph_is_parsed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, wanted: int
) -> None:
    """8.5 knows no such flag, and finds its plugin only once all were registered."""
    _, said = build(monkeypatch, version, job(tmp_path), Watch(lambda *_: None))
    names = [name for name, _ in said]
    before = names[: names.index("parse_from_file")]
    assert before.count("init_libnvinfer_plugins") == names.count("init_libnvinfer_plugins")
    assert before.count("init_libnvinfer_plugins") == wanted


@pytest.mark.parametrize("version", ["8.6.1", *MODERN])
def test_a_timing_cache_is_used_where_it_fits_and_dropped_with_a_note(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    watch = Watch(lambda *_: None)
    (tmp_path / "timing").write_bytes(b"timings")
    assert build(monkeypatch, version, job(tmp_path), watch)[0].notes == ()
    (tmp_path / "timing").write_bytes(b"of another device")
    (note,) = build(monkeypatch, version, job(tmp_path), watch)[0].notes
    assert note.endswith("does not fit this device and TensorRT: dropped")


def test_without_a_timing_cache_none_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The bindings would free the builder's own."""
    _, said = build(
        monkeypatch, "10.16.1.11", job(tmp_path, timing_cache=""), Watch(lambda *_: None)
    )
    assert not any("timing_cache" in name for name, _ in said)
    assert not (tmp_path / "timing.new").exists()


def test_a_timing_cache_that_cannot_be_read_is_dropped_with_a_note(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "timing").mkdir()
    (note,) = build(monkeypatch, "10.3.0", job(tmp_path), Watch(lambda *_: None))[0].notes
    assert note.endswith("cannot be read (Is a directory): dropped")


@pytest.mark.parametrize("said", ["CUDA initialization failure with error: 35", ""])
def test_a_builder_that_does_not_start_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    """What a driver that is too old looks like, where TensorRT's package does not say its CUDA."""

    def builder(logger: Any) -> None:
        if said:
            logger.log(0, said)
        raise TypeError("pybind11::init(): factory function returned nullptr")

    trt = recorded("10.3.0", [], ["image"], lambda _: None)
    monkeypatch.setattr(trt, "Builder", builder)
    monkeypatch.setattr(tensorrt, "_module", lambda: trt)
    with pytest.raises(EngineError, match=f"does not start here: {said or 'pybind11'}") as caught:
        tensorrt.build(job(tmp_path), Watch(lambda *_: None))
    assert str(caught.value).endswith("; run: ali-aug doctor")


def test_told_to_stop_it_stops_and_writes_no_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watch = Watch(lambda *_: None)
    watch.stop()
    with pytest.raises(EngineError, match=r"^stopped$"):
        build(monkeypatch, "11.4.0.106", job(tmp_path), watch)
    assert not (tmp_path / "plan").exists()


def test_a_job_comes_back_from_json_as_it_was(tmp_path: Path) -> None:
    assert job_from(job(tmp_path).document()) == job(tmp_path)
