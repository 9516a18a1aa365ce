import copy
import json
import math

import pytest
import typer
from support.bundles import make_bundle
from typer.testing import CliRunner

from aliaug_edge.assets import resolve_bundle
from aliaug_edge.bundle import load_bundle, save_manifest
from aliaug_edge.cli.app import ErrorBoundary
from aliaug_edge.cli.profile import profile
from aliaug_edge.engines import open_engine
from aliaug_edge.errors import AliAugError
from aliaug_edge.files import json_text
from aliaug_edge.profiling import Rules, profile_bundle, profile_text
from aliaug_edge.profiling.device import flop_count, machine_card, model_card, peak_rss_mib
from aliaug_edge.profiling.peak import SIDE, measured_peak_gflops
from aliaug_edge.profiling.stages import FUSED, Bench

QUICK = Rules(warmup_ms=0, iterations=3)
CPU = "onnxruntime-cpu"
STAGES = [
    "read",
    "preprocess",
    "encode",
    "unet",
    "decode",
    "generator",
    "blend",
    "write",
    "end_to_end",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = make_bundle(tmp_path_factory.mktemp("profile") / "bundle", sizes=((64, 64), (64, 96)))
    document = json.loads((root / "bundle.json").read_text())
    document["provenance"]["flops"] = {"64x64": {"encoder": 4e6, "generator": 2e7}}
    save_manifest(root, document)
    return root


@pytest.fixture(scope="module")
def measured(folder):
    return profile_bundle(load_bundle(folder), [CPU, f"{CPU}:1"], None, QUICK, threads=2)


def test_there_is_one_row_per_stage_with_its_percentiles(measured):
    for engine in measured["engines"]:
        assert [row["stage"] for row in engine["stages"]] == STAGES
        for row in engine["stages"]:
            ordered = [row[f"{p}_ms"] for p in ("p50", "p90", "p95", "p99", "max")]
            assert ordered == sorted(ordered)
            assert ordered[0] > 0
            assert row["count"] == 3


def test_end_to_end_is_the_sum_of_its_stages(measured):
    mean = {row["stage"]: row["mean_ms"] for row in measured["engines"][0]["stages"]}
    assert mean["end_to_end"] == pytest.approx(sum(mean[s] for s in FUSED), abs=1e-3)


def test_engines_carry_their_spec_name_version_and_threads(measured):
    first, second = measured["engines"]
    assert (first["spec"], first["name"], first["threads"]) == (CPU, CPU, 2)
    assert (second["spec"], second["name"], second["threads"]) == (f"{CPU}:1", CPU, 1)
    assert first["version"]


def test_flops_are_set_beside_the_measured_peak(measured):
    rows = {row["stage"]: row for row in measured["engines"][0]["stages"]}
    peak = measured["engines"][0]["peak_gflops_f32"]
    assert peak > 0
    assert rows["encode"]["gflop"] == 0.004
    rate = 0.02 / rows["generator"]["p50_ms"] * 1000
    assert rows["generator"]["gflops"] == pytest.approx(rate, abs=0.01)
    assert rows["generator"]["share_of_peak"] == pytest.approx(rate / peak, abs=1e-3)


def test_what_is_not_known_is_null(measured):
    rows = {row["stage"]: row for row in measured["engines"][0]["stages"]}
    assert rows["unet"]["gflop"] is rows["unet"]["share_of_peak"] is None
    assert rows["read"]["gflops"] is None
    assert not any(isinstance(v, float) and math.isnan(v) for v in rows["read"].values())
    json_text(measured)  # refuses NaN


def test_batches_one_two_and_four_are_measured(measured):
    batches = measured["engines"][0]["batches"]
    assert [b["batch"] for b in batches] == [1, 2, 4]
    assert all(b["images_per_s"] > 0 for b in batches)
    assert [b["count"] for b in batches] == [3, 3, 3]


def test_opening_an_engine_is_no_part_of_a_batch_step(folder, tmp_path, monkeypatch):
    opened = []

    def opening(bundle, graph, **options):
        opened.append((graph, options["batch"]))
        return open_engine(bundle, graph, **options)

    monkeypatch.setattr("aliaug_edge.profiling.stages.open_engine", opening)
    with Bench(load_bundle(folder), CPU, 1, (64, 64), tmp_path) as bench:
        opened.clear()
        with bench.batches(2) as step:
            assert opened == [("generator", 2)]
            assert step()["generator"] > 0
            assert step()["generator"] > 0
            assert opened == [("generator", 2)]


def test_the_default_size_is_the_smallest(measured):
    assert measured["size"] == [64, 64]


def test_memory_and_model_size_have_plausible_values(measured):
    assert measured["peak_rss_mib"] > 20
    assert 0 < measured["prompt_lookup_ms"] < 5
    assert 0 < measured["bundle"]["model_mb"] < measured["bundle"]["bundle_mb"]


def test_the_model_size_counts_the_weights_that_lie_beside_the_graph():
    bundle = load_bundle(resolve_bundle("tiny"))
    model_mb = model_card(bundle)["model_mb"]
    files = [bundle.graph_path("generator"), bundle.root / "onnx/weights.bin"]
    assert model_mb == pytest.approx(sum(path.stat().st_size for path in files) / 1e6, abs=1e-3)
    assert model_mb > 5  # the graph alone has a quarter of a megabyte


def test_weights_named_after_another_graph_are_not_counted(tmp_path):
    root = make_bundle(tmp_path / "b")
    before = model_card(load_bundle(root))["model_mb"]
    (root / "onnx/unet.onnx.data").write_bytes(b"0" * 300_000)
    (root / "onnx/generator.onnx.data").write_bytes(b"0" * 200_000)
    save_manifest(root, json.loads((root / "bundle.json").read_text()))
    assert model_card(load_bundle(root))["model_mb"] == pytest.approx(before + 0.2, abs=1e-3)


def test_the_text_has_a_row_per_stage_and_every_column_of_equal_width(measured):
    text = profile_text(measured)
    start = text.index("ms  ")
    table = text[start:].splitlines()[: len(STAGES) + 1]
    assert {len(line) for line in table} == {len(table[0])}
    assert table[-1].startswith("end to end")
    assert "images/s" in text and "peak memory" in text


def test_the_text_says_which_percentiles_are_but_the_slowest_pass(measured):
    few = "3 passes, nothing dropped; too few for p90, p95, p99, shown is the slowest pass\n"
    assert few in profile_text(measured)
    many = copy.deepcopy(measured)
    for engine in many["engines"]:
        engine["stages"][-1]["count"] = 100
    assert "100 passes, nothing dropped\n" in profile_text(many)


def test_the_text_says_what_end_to_end_leaves_out(measured):
    text = profile_text(measured)
    assert "end to end = read + preprocess + generator + blend + write;" in text
    assert "generate also places the mask" in text


def test_a_size_that_was_not_proven_is_refused(folder):
    with pytest.raises(AliAugError, match=r"--size 128x128: .* proven at 64x64, 64x96"):
        profile_bundle(load_bundle(folder), [CPU], (128, 128), QUICK)


@pytest.mark.parametrize("spec", [f"{CPU}:", f"{CPU}:0", f"{CPU}:two"])
def test_a_spec_with_bad_threads_is_refused(folder, spec):
    with pytest.raises(AliAugError, match="expected NAME or NAME:THREADS"):
        profile_bundle(load_bundle(folder), [spec], None, QUICK)


def test_no_engine_at_all_is_refused(folder):
    with pytest.raises(AliAugError, match="no engine"):
        profile_bundle(load_bundle(folder), [], None, QUICK)


def test_an_unstable_measurement_is_said_to_be_one(monkeypatch, folder):
    monkeypatch.setattr("aliaug_edge.profiling.run.COV_LIMIT_PERCENT", -1.0)
    result = profile_bundle(load_bundle(folder), [CPU], None, QUICK)
    assert "unstable, coefficient of variation" in result["warnings"][0]


def test_a_stage_above_the_measured_peak_is_said_to_be_wrong(monkeypatch, folder):
    monkeypatch.setattr("aliaug_edge.profiling.run.measured_peak_gflops", lambda _threads: 1e-6)
    result = profile_bundle(load_bundle(folder), [CPU], None, QUICK)
    assert any("faster than the measured peak" in warning for warning in result["warnings"])


@pytest.mark.parametrize(
    "flops",
    [{"64x64": {"unet": 12}}, {"unet": {"64x64": 12}}, {"unet": 12}],
)
def test_flops_are_found_whichever_way_they_are_keyed(tmp_path, flops):
    root = make_bundle(tmp_path / "b")
    document = json.loads((root / "bundle.json").read_text())
    document["provenance"]["flops"] = flops
    save_manifest(root, document)
    bundle = load_bundle(root)
    assert flop_count(bundle, "unet", (64, 64)) == 12
    assert flop_count(bundle, "decoder", (64, 64)) is None


def test_the_peak_is_that_of_a_real_matrix_product():
    assert 0.1 < measured_peak_gflops(1) < 1e5
    assert SIDE == 1024


def test_the_machine_card_names_cpu_cores_and_memory():
    card = machine_card()
    assert card["cpu"] and card["physical_cores"] >= 1
    assert peak_rss_mib() is None or peak_rss_mib() > 0


@pytest.fixture
def command():
    app = typer.Typer(cls=ErrorBoundary, pretty_exceptions_enable=False)
    app.command("profile")(profile)
    app.callback()(lambda: None)
    return lambda *arguments: CliRunner().invoke(app, ["profile", *map(str, arguments)])


def test_json_is_exactly_one_document_and_is_written_too(command, folder, tmp_path):
    out = tmp_path / "profile.json"
    result = command(folder, "--iterations", 2, "--warmup-ms", 0, "--json", "-o", out)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(out.read_text())


def test_a_file_that_cannot_be_written_does_not_cost_the_measurement(command, folder, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    out = tmp_path / "taken/profile.json"
    result = command(folder, "--iterations", 2, "--warmup-ms", 0, "--json", "-o", out)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["engines"][0]["stages"]
    assert f"error: cannot write {out}" in result.stderr


def test_compare_runs_each_engine(command, folder):
    result = command(folder, "--compare", f"{CPU},{CPU}:1", "--iterations", 2, "--size", "64x96")
    assert result.exit_code == 0, result.output
    assert "64 x 96" in result.stdout
    assert result.stdout.count("end to end  ") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--engine", "cudnn"], 1, "unknown engine 'cudnn'"),
        (["--size", "big"], 2, "expected 128 or 128x192"),
        (["--size", "8²"], 2, "expected 128 or 128x192"),
        (["--iterations", "0"], 2, "iterations"),
        (["--size", "72"], 1, "proven at"),
        (["--engine", CPU, "--compare", f"{CPU}:1"], 2, "not both"),
        (["--compare", ""], 1, "no engine"),
    ],
)
def test_bad_arguments_are_one_clear_message(command, folder, arguments, code, said):
    result = command(folder, *arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stdout == ""


def test_a_folder_without_a_bundle_is_one_clear_line(command, tmp_path):
    result = command(tmp_path)
    assert result.exit_code == 1
    assert "is not a bundle" in result.stderr
