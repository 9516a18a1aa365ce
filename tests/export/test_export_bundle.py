"""What an export writes: a bundle that loads, whose graphs say what torch said, at every size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from aliaug_edge.appearances import NUMBERS, from_text
from aliaug_edge.bundle import BACKDROPS, Bundle, load_bundle
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.errors import AliAugError, BundleError, OutputError, ParityError
from aliaug_edge.export import fuse, weights
from aliaug_edge.export import precision as half_graphs
from aliaug_edge.export.parity import judge_parity
from aliaug_edge.export.pipeline import ExportSettings, export
from aliaug_edge.export.sources import ExportSource, run_source
from aliaug_edge.export.stages import GRAPHS, stage_of, tensor_shapes
from aliaug_edge.export.torch_engine import TorchEngine
from aliaug_edge.model.base import save_base
from tests.support.bases import TEXT_WIDTH, micro_base

Replay = Callable[..., Path]
Arrays = dict[str, np.ndarray]
# Primitives that TensorRT 10.3 parses; attention, GroupNorm and control flow must not be among them
FORBIDDEN = {
    "If",
    "Loop",
    "Scan",
    "Attention",
    "GroupNormalization",
    "SimplifiedLayerNormalization",
}


def feeds(batch: int, height: int, width: int, seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    mask = np.zeros((batch, 1, height, width), np.float32)
    mask[:, :, 8:24, 16:40] = 1
    return {
        "image": rng.uniform(-1, 1, (batch, 3, height, width)).astype(np.float32),
        "mask": mask,
        "colour": np.ones((batch, 3), np.float32),
        "noise": rng.standard_normal((batch, 4, height // 8, width // 8), dtype=np.float32),
        "grain": rng.standard_normal((batch, 1, height, width), dtype=np.float32),
        "severity": rng.uniform(0, 1, (batch, 1)).astype(np.float32),
        "appearance": rng.standard_normal((batch, NUMBERS), dtype=np.float32),
        "prompt_embeds": rng.standard_normal((batch, 77, TEXT_WIDTH), dtype=np.float32),
    }


def infer(bundle: Bundle, graph: str, tensors: Mapping[str, np.ndarray]) -> Arrays:
    spec = bundle.graphs[graph]
    with OnnxRuntimeEngine(bundle.graph_path(graph), spec, provider="cpu", threads=1) as engine:
        return engine.infer({t.name: tensors[t.name] for t in spec.inputs})


def models(bundle: Bundle) -> dict[str, onnx.ModelProto]:
    return {name: onnx.load(bundle.graph_path(name)) for name in GRAPHS}


def test_the_bundle_says_which_photos_it_learned_from(fp32: Bundle) -> None:
    seen = fp32.training_photos()
    assert seen is not None
    assert {name.rsplit("/", 1)[0] for name in seen.names} == {
        "test/crack",
        "test/stain",
        "train/good",
    }
    assert len(set(seen.sha256)) == len(seen.names) == len(seen.codes)


def test_the_bundle_loads_and_says_what_it_is(fp32: Bundle) -> None:
    assert fp32.class_names == ("crack", "stain")
    assert fp32.sizes == ((64, 64), (64, 96))
    assert (fp32.conditioning, fp32.label_carrier, fp32.precision) == ("light", "text", "fp32")
    assert (fp32.latent_channels, fp32.latent_factor) == (4, 8)
    assert set(fp32.graphs) == set(GRAPHS)
    assert fp32.prompts["crack"].shape == (77, TEXT_WIDTH)
    assert np.abs(fp32.prompts["crack"] - fp32.prompts["stain"]).max() > 0.1
    assert all(len(shapes) > 0 for shapes in fp32.mask_bank().values())
    flops = fp32.provenance["flops"]
    assert flops["64x96"]["generator"] == pytest.approx(1.5 * flops["64x64"]["generator"], rel=0.05)


def test_the_prompts_are_those_of_the_text_encoder(fp32: Bundle, source: ExportSource) -> None:
    for index, name in enumerate(fp32.class_names):
        assert np.array_equal(fp32.prompts[name], source.embeds[index])


def test_names_and_free_dimensions_are_the_contract_s(fp32: Bundle, source: ExportSource) -> None:
    shapes = tensor_shapes(source.merged)
    for name, model in models(fp32).items():
        for side, values in (("inputs", model.graph.input), ("outputs", model.graph.output)):
            specs = getattr(fp32.graphs[name], side)
            assert [v.name for v in values] == [t.name for t in specs]
            for value in values:
                dims = value.type.tensor_type.shape.dim
                assert tuple(d.dim_param or d.dim_value for d in dims) == shapes[value.name]
                assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [t.name for t in fp32.graphs["encoder"].outputs] == ["latent", *TAPS]
    assert [t.name for t in fp32.graphs["generator"].outputs] == ["generated"]


TAPS = ["tap_0", "tap_1", "tap_2", "tap_3"]


@pytest.mark.parametrize("which", ["fp32", "fp16"])
def test_graphs_hold_primitives_of_an_opset_that_tensorrt_parses(
    which: str, request: pytest.FixtureRequest
) -> None:
    for model in models(request.getfixturevalue(which)).values():
        assert [(o.domain, o.version <= 20) for o in model.opset_import] == [("", True)]
        assert {node.domain for node in model.graph.node} == {""}
        assert not {node.op_type for node in model.graph.node} & FORBIDDEN
        assert not model.functions
        onnx.checker.check_model(model, full_check=True)


def test_attention_scales_query_and_key_before_their_product(fp16: Bundle) -> None:
    """So no score is larger than the softmax needs, and FP16 holds those of SD 2.1."""
    graph = models(fp16)["unet"].graph
    producer = {name: node for node in graph.node for name in node.output}

    def behind_shapes(name: str) -> onnx.NodeProto:
        node = producer[name]
        moves = ("Reshape", "Transpose", "Cast", "Squeeze", "Unsqueeze")
        return behind_shapes(node.input[0]) if node.op_type in moves else node

    scores = [behind_shapes(n.input[0]) for n in graph.node if n.op_type == "Softmax"]
    assert scores
    for score in scores:
        assert score.op_type == "MatMul"
        assert [behind_shapes(name).op_type for name in score.input] == ["Mul", "Mul"]


@pytest.mark.parametrize("batch, height, width", [(1, 64, 64), (3, 64, 96), (2, 48, 16)])
def test_the_fused_graph_is_torch_at_any_batch_and_size(
    fp32: Bundle, source: ExportSource, batch: int, height: int, width: int
) -> None:
    given = feeds(batch, height, width)
    given["mask"] = (given["image"][:, :1] > 0).astype(np.float32)
    with TorchEngine(stage_of(source.adapted, "generator")) as engine:
        wanted = engine.infer({t.name: given[t.name] for t in engine.inputs})["generated"]
    assert np.abs(infer(fp32, "generator", given)["generated"] - wanted).max() < 1e-4


@pytest.mark.parametrize("which", ["fp32", "fp16"])
def test_the_stages_chained_are_the_fused_graph(which: str, request: pytest.FixtureRequest) -> None:
    bundle: Bundle = request.getfixturevalue(which)
    tensors = feeds(2, 64, 96)
    fused = infer(bundle, "generator", tensors)["generated"]
    for stage in ("encoder", "unet", "decoder"):
        tensors |= infer(bundle, stage, tensors)
    error = np.abs(tensors["generated"] - fused).max()
    assert error < (1e-4 if which == "fp32" else 0.05)


def test_every_input_acts_in_the_graph(fp32: Bundle) -> None:
    given = feeds(1, 64, 64)
    before = infer(fp32, "generator", given)["generated"]
    for name in sorted(set(given) - {"colour"}):
        other = {**given, name: 1 - given[name]}
        assert np.abs(infer(fp32, "generator", other)["generated"] - before).max() > 1e-3, name


def test_parity_has_a_row_for_every_tensor_size_and_seed(fp32: Bundle) -> None:
    rows = fp32.parity["rows"]
    outputs = {f"{n}.{t.name}" for n, g in fp32.graphs.items() for t in g.outputs}
    wanted = {
        (tensor, size, seed)
        for tensor in outputs | {"final_pixels"}
        for size in ((64, 64), (64, 96))
        for seed in range(3)
    }
    assert {(r["tensor"], tuple(r["size"]), r["seed"]) for r in rows} == wanted
    assert len(rows) == len(wanted)
    assert fp32.parity["verdict"] == "passed"
    final = [row for row in rows if row["tensor"] == "final_pixels"]
    assert max(row["max_grey"] for row in final) <= 1
    assert min(row["psnr_db"] for row in final) >= 60


def test_parity_is_printed_per_tensor(exported: tuple[Path, Path, str]) -> None:
    said = exported[2]
    for name in ("encoder.latent", "unet.denoised", "decoder.generated", "final_pixels"):
        assert said.count(name) == 1


def test_a_perturbed_weight_is_refused_and_nothing_is_left(replay: Replay, tmp_path: Path) -> None:
    def nudge(name: str, model: onnx.ModelProto) -> None:
        if name != "decoder":
            return
        weight = max(model.graph.initializer, key=lambda t: len(t.raw_data))
        values = onnx.numpy_helper.to_array(weight).copy()
        values.flat[::7] += 0.3
        weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))

    with pytest.raises(ParityError, match=r"fp32 export out of tolerance at .*Nothing was written"):
        replay(tmp_path / "bundle", alter=nudge)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_gives_nan_is_refused(replay: Replay, tmp_path: Path) -> None:
    def poison(name: str, model: onnx.ModelProto) -> None:
        if name == "unet":
            weight = max(model.graph.initializer, key=lambda t: len(t.raw_data))
            values = onnx.numpy_helper.to_array(weight).copy()
            values.flat[0] = np.nan
            weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))

    with pytest.raises(ParityError, match=r"unet \| output denoised holds non-finite"):
        replay(tmp_path / "bundle", alter=poison)
    assert list(tmp_path.iterdir()) == []


def test_rows_out_of_tolerance_are_judged_by_precision() -> None:
    row = {"tensor": "final_pixels", "size": [64, 64], "seed": 0, "max_grey": 2.0, "psnr_db": 59.0}
    assert judge_parity([row], "fp16")["verdict"] == "passed"
    with pytest.raises(ParityError, match=r"differ by up to 2 grey levels, 59\.0 dB"):
        judge_parity([row], "fp32")
    with pytest.raises(ParityError, match="fp16"):
        judge_parity([{**row, "psnr_db": 44.0}], "fp16")
    with pytest.raises(ParityError):
        judge_parity([{**row, "psnr_db": float("nan")}], "fp16")


def test_fp16_weights_and_taps_are_half_and_other_seams_and_islands_are_not(
    fp32: Bundle, fp16: Bundle
) -> None:
    assert fp16.precision == "fp16"
    for name, model in models(fp16).items():
        seams = (*model.graph.input, *model.graph.output)
        spec = fp16.graphs[name]
        dtypes = {t.name: t.dtype for t in (*spec.inputs, *spec.outputs)}
        for value in seams:
            half_seam = value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
            assert half_seam == value.name.startswith("tap_") == (dtypes[value.name] == "float16")
        weights = [t for t in model.graph.initializer if np.prod(t.dims) > 64]
        half = [t for t in weights if t.data_type == onnx.TensorProto.FLOAT16]
        assert len(half) > 0.9 * len(weights)
        producer = {o: n.op_type for n in model.graph.node for o in n.output}
        norms = [n for n in model.graph.node if n.op_type == "InstanceNormalization"]
        assert norms or name == "encoder"
        assert all(producer[n.input[0]] == "Cast" for n in norms)
    folders = [sum(f["bytes"] for f in b.files.values()) for b in (fp32, fp16)]
    assert folders[1] < folders[0]
    islands = fp16.provenance["fp32_islands"]
    assert islands["unet"]["x0_step"] == 3
    assert islands["encoder"]["x0_step"] == 0
    assert all(report["out_of_range"] == [] for report in islands.values())
    for report in islands.values():
        peaks = [largest["peak"] for largest in report["largest_activations"]]
        assert peaks == sorted(peaks, reverse=True)
        assert 1 < peaks[0] < 15_000


def test_fp16_is_within_its_tolerance_on_the_final_pixels(fp16: Bundle) -> None:
    final = [row for row in fp16.parity["rows"] if row["tensor"] == "final_pixels"]
    assert len(final) == 6
    assert min(row["psnr_db"] for row in final) >= 45
    assert any(row["psnr_db"] < 100 for row in final)  # it really is another arithmetic


def test_weights_are_stored_once_for_all_graphs(fp32: Bundle) -> None:
    fused = onnx.load(fp32.graph_path("generator")).graph.initializer
    assert fp32.files["onnx/weights.bin"]["bytes"] < 1.3 * sum(len(t.raw_data) for t in fused)


def test_no_path_of_this_machine_is_in_a_bundle(fp32: Bundle, run_dir: Path) -> None:
    telling = [str(run_dir.parent), "site-packages", "aliaug_edge/model", str(Path.home()) + "/"]
    for path in sorted(p for p in fp32.root.rglob("*") if p.is_file()):
        data = path.read_bytes()
        assert not [t for t in telling if t.encode() in data], path.name
    training = fp32.provenance["training"]
    assert (training["data"], training["base"]) == ("parts", "micro")
    assert fp32.provenance["base"] == "micro"


def test_the_same_run_gives_the_same_bytes(replay: Replay, fp32: Bundle, tmp_path: Path) -> None:
    again = replay(tmp_path / "fp32")
    names = sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(fp32.root) for p in fp32.root.rglob("*") if p.is_file())
    for name in names:
        assert (again / name).read_bytes() == (fp32.root / name).read_bytes(), name


def test_the_merge_leaves_the_adapted_generator_alone(run_dir: Path, source: ExportSource) -> None:
    again = run_source(run_dir).adapted.state_dict()
    for key, value in source.adapted.state_dict().items():
        assert torch.equal(value, again[key]), key
    assert any("lora_" in key for key in again)
    assert not any("lora_" in key for key in source.merged.state_dict())


def test_the_bundle_knows_what_the_run_s_defects_looked_like(run_dir: Path, fp32: Bundle) -> None:
    learned = from_text((run_dir / "appearances.json").read_text(), fp32.class_names)
    for name, rows in learned.items():
        assert len(rows) > 0
        assert np.array_equal(fp32.appearances[name], rows)


def test_a_run_of_an_earlier_version_asks_for_no_appearance(run_dir: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    (run / "appearances.json").unlink()
    assert all(len(rows) == 0 for rows in run_source(run).appearances.values())


def test_the_bundle_knows_by_which_rule_its_line_s_parts_stand_out(
    run_dir: Path, fp32: Bundle, tmp_path: Path
) -> None:
    assert fp32.backdrop == json.loads((run_dir / "backdrop.json").read_text())["backdrop"]
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    for name in BACKDROPS:
        (run / "backdrop.json").write_text(json.dumps({"backdrop": name}))
        assert run_source(run).backdrop == name
    (run / "backdrop.json").unlink()  # a run of an earlier version
    assert run_source(run).backdrop == "plain"


@pytest.mark.parametrize("content", ['{"backdrop": "velvet"}', "{}", '{"backdrop', "[]", "3"])
def test_an_unreadable_backdrop_of_a_run_is_one_clear_line(
    run_dir: Path, tmp_path: Path, content: str
) -> None:
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    (run / "backdrop.json").write_text(content)
    with pytest.raises(AliAugError, match=r"backdrop\.json cannot be read .*; train again$"):
        run_source(run)


@pytest.mark.parametrize(
    "name", ["classes.json", "conditioning.safetensors", "masks.npz", "adapters/unet"]
)
def test_an_unfinished_run_is_one_clear_line(run_dir: Path, tmp_path: Path, name: str) -> None:
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    with pytest.raises(AliAugError, match=f"not a finished run: it lacks {name}; .*--config"):
        export(str(run), tmp_path / "out", ExportSettings(), say=lambda _: None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name",
    [
        "classes.json",
        "conditioning.safetensors",
        "masks.npz",
        "training_photos.npz",
        "appearances.json",
        "adapters/vae/adapter_model.safetensors",
        "config.json",
    ],
)
def test_a_damaged_run_is_one_clear_line(run_dir: Path, tmp_path: Path, name: str) -> None:
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    (run / name).write_bytes((run / name).read_bytes()[:40])
    with pytest.raises(AliAugError, match=Path(name).name.replace(".", r"\.")) as error:
        export(str(run), tmp_path / "out", ExportSettings(), say=lambda _: None)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_classes_of_another_shape_are_refused(run_dir: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    (run / "classes.json").write_text(json.dumps([{"name": "crack"}]))
    with pytest.raises(AliAugError, match=r"classes\.json"):
        run_source(run)


def test_adapters_of_another_rank_are_refused(run_dir: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    document: dict[str, Any] = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**document, "rank_unet": 2}))
    with pytest.raises(AliAugError, match="does not fit this base and configuration"):
        run_source(run)


def test_the_data_may_have_moved_since(run_dir: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    document: dict[str, Any] = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**document, "data": "/no/longer/there"}))
    scenes = run_source(run).scenes
    assert [scene.class_index for scene in scenes] == [0, 1, 0]
    assert all(scene.image_path.is_file() and scene.mask.any() for scene in scenes)


def test_a_run_that_kept_no_scenes_takes_them_from_its_data(run_dir: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    shutil.rmtree(run / "scenes")
    scenes = run_source(run).scenes
    assert [scene.class_index for scene in scenes] == [0, 1, 0]
    assert all("parts" in scene.image_path.parts for scene in scenes)


def test_another_base_than_the_run_s_is_refused(run_dir: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_dir, tmp_path / "run"))
    save_base(micro_base(seed=1), tmp_path / "other", half=False)
    document: dict[str, Any] = json.loads((run / "config.json").read_text())
    changed = {**document, "base": str(tmp_path / "other")}
    (run / "config.json").write_text(json.dumps(changed))
    with pytest.raises(AliAugError, match=r"trained on a base with weights .* now has") as error:
        run_source(run)
    assert "\n" not in str(error.value)
    (run / "base.json").write_text("{")
    with pytest.raises(AliAugError, match=r"base\.json cannot be read"):
        run_source(run)


def test_the_bundle_s_provenance_names_the_base_s_weights(
    run_dir: Path, source: ExportSource
) -> None:
    noted = json.loads((run_dir / "base.json").read_text())
    assert source.provenance["base_sha256"] == noted["sha256"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_no_protobuf_holds_the_weights_so_a_model_may_be_larger_than_one(
    replay: Replay, fp32: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """With protobuf's 2 GiB lowered to less than the weights, an export ends as it did before."""
    limit = 200_000
    assert fp32.files["onnx/weights.bin"]["bytes"] > limit
    whole = onnx.ModelProto.SerializeToString
    monkeypatch.setattr(onnx.checker, "MAXIMUM_PROTOBUF", limit)
    checks = [(onnx.shape_inference, "infer_shapes"), (onnx.checker, "check_model")]
    saves = [(module, "save_graph") for module in (fuse, half_graphs, weights)]
    for module, name in (*checks, *saves):
        monkeypatch.setattr(module, name, small_only(getattr(module, name), limit, whole))
    folder = replay(tmp_path / "bundle", precision)
    assert not [p.name for p in folder.rglob("*.onnx") if p.stat().st_size > limit]
    assert sorted(p.name for p in (folder / "onnx").iterdir()) == [
        *sorted(f"{name}.onnx" for name in GRAPHS),
        "weights.bin",
    ]


def small_only(function: Callable[..., Any], limit: int, whole: Callable[..., bytes]) -> Any:
    def checked(model: Any, *more: Any, **named: Any) -> Any:
        if isinstance(model, onnx.ModelProto):
            assert len(whole(model)) < limit, "a model with its weights went through a protobuf"
        return function(model, *more, **named)

    return checked


@pytest.mark.parametrize("which", ["fp32", "fp16"])
def test_weights_beside_the_graph_are_those_of_a_graph_in_one_file(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bundle: Bundle = request.getfixturevalue(which)
    spec = bundle.graphs["generator"]
    onnx.save(models(bundle)["generator"], tmp_path / "whole.onnx")
    given = {t.name: feeds(1, 64, 64)[t.name] for t in spec.inputs}
    with OnnxRuntimeEngine(tmp_path / "whole.onnx", spec, provider="cpu", threads=1) as engine:
        whole = engine.infer(given)["generated"]
    assert np.array_equal(whole, infer(bundle, "generator", given)["generated"])


@pytest.mark.parametrize(
    "settings, said",
    [
        (ExportSettings(sizes=((64, 72),)), "size 64x72: .*multiples of 16"),
        (ExportSettings(sizes=((0, 64),)), "size 0x64"),
        (ExportSettings(precision="int8"), "precision 'int8': expected fp32 or fp16"),
        (ExportSettings(opset=21), "opset 21: expected 17 to 20"),
        (ExportSettings(opset=16), "opset 16: expected 17 to 20"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    run_dir: Path, tmp_path: Path, settings: ExportSettings, said: str
) -> None:
    with pytest.raises(AliAugError, match=said):
        export(str(run_dir), tmp_path / "out", settings, say=lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_folder_is_left_alone(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match="not an empty folder"):
        export(str(run_dir), tmp_path, ExportSettings(), say=lambda _: None)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_base_without_conditioning_is_refused(run_dir: Path, tmp_path: Path) -> None:
    base = run_dir.parent / "micro"
    with pytest.raises(AliAugError, match="neither a finished training run nor a base"):
        export(str(base), tmp_path / "out", ExportSettings(), say=lambda _: None)


def test_a_source_that_is_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AliAugError, match="is not a folder"):
        export(str(tmp_path / "none"), tmp_path / "out", ExportSettings(), say=lambda _: None)


def test_a_flipped_byte_in_the_weights_is_found(fp32: Bundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(fp32.root, tmp_path / "copy"))
    data = bytearray((copy / "onnx" / "weights.bin").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "onnx" / "weights.bin").write_bytes(bytes(data))
    with pytest.raises(BundleError, match=r"weights\.bin is damaged"):
        load_bundle(copy)
