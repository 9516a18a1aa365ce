"""The bundle contract: what is read back, and every damage that is refused."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from support.bundles import make_bundle

from aliaug_edge.assets import resolve_bundle, tiny_bundle_dir
from aliaug_edge.bundle import SCHEMA_VERSION, load_bundle, save_manifest
from aliaug_edge.doctor.contents import bundle_contents, contents_text
from aliaug_edge.errors import BundleError
from aliaug_edge.files import json_text

FILES = [
    "masks.npz",
    "onnx/decoder.onnx",
    "onnx/encoder.onnx",
    "onnx/generator.onnx",
    "onnx/unet.onnx",
    "prompts.npz",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle")


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest in place, hashes of files left as they are."""
    path = folder / "bundle.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_bundle_is_read_back_as_it_was_written(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert bundle.class_names == ("crack", "stain")
    assert bundle.class_spec("stain").prompt == "a stain on a part"
    assert bundle.sizes == ((64, 64),)
    assert sorted(bundle.graphs) == ["decoder", "encoder", "generator", "unet"]
    assert bundle.graphs["generator"].inputs[0].shape == ("batch", 3, "height", "width")
    assert bundle.prompts["crack"].shape == (77, 16)
    assert bundle.prompts["crack"].dtype == np.float32
    assert sorted(bundle.files) == FILES


def test_the_same_content_has_the_same_hash(tmp_path: Path) -> None:
    first, second = (load_bundle(make_bundle(tmp_path / name)) for name in ("a", "b"))
    other = load_bundle(make_bundle(tmp_path / "c", gain=2.0))
    assert first.sha256 == second.sha256 != other.sha256


def test_the_mask_bank_has_tight_masks_per_class(folder: Path) -> None:
    bank = load_bundle(folder).mask_bank()
    assert {name: len(masks) for name, masks in bank.items()} == {"crack": 3, "stain": 3}
    for mask in (shape.pixels for shape in bank["crack"]):
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 255}
        assert mask.any(axis=0).all()
        assert mask.any(axis=1).all()


def test_a_bundle_without_masks_has_an_empty_bank(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "bundle", masks_per_class=0))
    assert bundle.mask_bank() == {"crack": [], "stain": []}


@pytest.mark.parametrize("key", ["7/0", "crack/0", "0", "0/1/x", "-1/0"])
def test_masks_of_no_class_are_refused(folder: Path, key: str) -> None:
    np.savez(folder / "masks.npz", **{key: np.full((3, 3), 255, np.uint8)})
    save_manifest(folder, json.loads((folder / "bundle.json").read_text()))
    with pytest.raises(BundleError, match=r"masks\.npz cannot be read"):
        load_bundle(folder).mask_bank()


@pytest.mark.parametrize(
    "pixels", [np.zeros((3, 3), np.uint8), np.ones((3, 3)), np.ones((3, 3, 3), np.uint8)]
)
def test_masks_that_are_none_are_refused(folder: Path, pixels: np.ndarray) -> None:
    np.savez(folder / "masks.npz", **{"0/0": pixels})
    save_manifest(folder, json.loads((folder / "bundle.json").read_text()))
    with pytest.raises(BundleError, match=r"masks\.npz cannot be read \(0/0 is no mask"):
        load_bundle(folder).mask_bank()


def test_a_bundle_older_than_appearances_knows_none(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert {name: len(rows) for name, rows in bundle.appearances.items()} == {
        "crack": 0,
        "stain": 0,
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"crack": []}', '{"crack": [[1]], "stain": []}'])
def test_appearances_of_another_form_are_refused(folder: Path, text: str) -> None:
    (folder / "appearances.json").write_text(text)
    save_manifest(folder, json.loads((folder / "bundle.json").read_text()))
    with pytest.raises(
        BundleError, match=r"appearances\.json cannot be read .*; export the bundle"
    ):
        load_bundle(folder)


def test_a_bundle_older_than_backdrops_takes_the_plain_rule(folder: Path) -> None:
    edit(folder, lambda document: document.pop("backdrop", None))
    assert load_bundle(folder).backdrop == "plain"
    edit(folder, lambda document: document.update(backdrop="uneven"))
    assert load_bundle(folder).backdrop == "uneven"


def test_a_backdrop_that_nobody_knows_is_refused_with_those_there_are(folder: Path) -> None:
    edit(folder, lambda document: document.update(backdrop="velvet"))
    said = "backdrop: expected none or plain or uneven, got 'velvet'"
    with pytest.raises(BundleError, match=said):
        load_bundle(folder)


def test_an_unknown_class_is_refused_with_those_there_are(folder: Path) -> None:
    with pytest.raises(BundleError, match=r"unknown defect class 'rust': .* offers crack, stain"):
        load_bundle(folder).class_spec("rust")


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte_is_found_in_every_file(folder: Path, name: str) -> None:
    path = folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} is damaged: expected SHA-256 .* export it"):
        load_bundle(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing; copy the bundle again"):
        load_bundle(folder)


def test_a_truncated_file_is_found(folder: Path) -> None:
    os.truncate(folder / "onnx/unet.onnx", 0)
    with pytest.raises(BundleError, match=r"onnx/unet\.onnx is damaged"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "version", [SCHEMA_VERSION + 1, SCHEMA_VERSION - 1, 0, None, str(SCHEMA_VERSION)]
)
def test_another_schema_version_is_refused(folder: Path, version: Any) -> None:
    edit(folder, lambda document: document.update(schema_version=version))
    reads = rf"schema version .*, this release reads {SCHEMA_VERSION}; install a"
    with pytest.raises(BundleError, match=reads):
        load_bundle(folder)


OUTSIDE = ["/etc/passwd", "../other.onnx", "onnx/../../other.onnx", "..\\other", "C:/other.onnx"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_listed_path_that_leaves_the_folder_is_refused(folder: Path, path: str) -> None:
    (folder.parent / "other.onnx").write_bytes(b"secret")
    edit(
        folder, lambda document: document["files"].update({path: {"sha256": "0" * 64, "bytes": 6}})
    )
    with pytest.raises(BundleError, match="leaves the bundle; refused"):
        load_bundle(folder)


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_graph_path_that_leaves_the_folder_is_refused(folder: Path, path: str) -> None:
    edit(folder, lambda document: document["graphs"]["generator"].update(path=path))
    with pytest.raises(BundleError, match="leaves the bundle; refused"):
        load_bundle(folder)


def beside(folder: Path, location: str) -> None:
    """Let the decoder say that a weight of it lies at `location`."""
    path = folder / "onnx/decoder.onnx"
    model = onnx.load(path)
    weight = model.graph.initializer.add(name="far", dims=[1], data_type=onnx.TensorProto.FLOAT)
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", location
    onnx.save(model, path)
    save_manifest(folder, json.loads((folder / "bundle.json").read_text()))


@pytest.mark.parametrize("location", ["/etc/passwd", "../../other.onnx", "a/../../../b"])
def test_weights_that_lie_outside_the_folder_are_refused(folder: Path, location: str) -> None:
    beside(folder, location)
    with pytest.raises(BundleError, match="leaves the bundle; refused") as error:
        load_bundle(folder)
    assert "\n" not in str(error.value)


def test_weights_in_a_file_that_is_not_listed_are_refused(folder: Path) -> None:
    beside(folder, "weights.bin")
    (folder / "onnx/weights.bin").write_bytes(bytes(4))
    with pytest.raises(BundleError, match=r"decoder\.onnx has weights in onnx/weights\.bin, which"):
        load_bundle(folder)
    save_manifest(folder, json.loads((folder / "bundle.json").read_text()))
    assert "onnx/weights.bin" in load_bundle(folder).files
    (folder / "onnx/weights.bin").unlink()
    with pytest.raises(BundleError, match=r"onnx/weights\.bin is missing; copy the bundle again"):
        load_bundle(folder)


@pytest.mark.parametrize("linked", ["onnx/generator.onnx", "onnx"])
def test_a_link_that_leaves_the_folder_is_refused(folder: Path, linked: str) -> None:
    inside, outside = folder / linked, folder.parent / "outside"
    inside.rename(outside)
    inside.symlink_to(outside)
    with pytest.raises(BundleError, match="is a link that leaves the bundle; refused"):
        load_bundle(folder)


def test_a_link_to_itself_is_refused(folder: Path) -> None:
    path = folder / "prompts.npz"
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(BundleError, match=r"cannot be read|is missing"):
        load_bundle(folder)


def test_a_bundle_reached_through_a_link_is_read(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert load_bundle(link).name == "test-bundle"


@pytest.mark.parametrize("used", ["onnx/generator.onnx", "prompts.npz"])
def test_a_file_that_is_used_but_not_vouched_for_is_refused(folder: Path, used: str) -> None:
    edit(folder, lambda document: document["files"].pop(used))
    with pytest.raises(BundleError, match=f"{used} is used but not listed in bundle.json"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"graph", b'{"a": ' * 100_000])
def test_a_manifest_that_is_not_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "bundle.json").write_bytes(content)
    said = r"bundle\.json is damaged \((no JSON|nested too deeply).*; copy the bundle again"
    with pytest.raises(BundleError, match=said):
        load_bundle(folder)


def test_a_manifest_that_is_no_object_is_refused(folder: Path) -> None:
    (folder / "bundle.json").write_text("[]")
    with pytest.raises(BundleError, match="expected a JSON object"):
        load_bundle(folder)


@pytest.mark.parametrize("there", ["empty folder", "file", "nothing"])
def test_a_place_without_a_manifest_is_no_bundle(tmp_path: Path, there: str) -> None:
    place = tmp_path / "place"
    if there == "empty folder":
        place.mkdir()
    elif there == "file":
        place.write_bytes(b"")
    with pytest.raises(BundleError, match=r"is not a bundle: it has no bundle\.json; give a"):
        load_bundle(place)


def _keys(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value below `tree`."""
    below: Any = ()
    if isinstance(tree, dict):
        below = tree.items()
    elif isinstance(tree, list):
        below = enumerate(tree)
    return [found for key, value in below for found in [(*path, key), *_keys(value, (*path, key))]]


WRONG: list[Any] = [None, True, -1, 10**30, 1.5, math.nan, math.inf, "", "a\nb", "\ud800", [], {}]


def test_whatever_is_wrong_in_a_manifest_is_one_line_or_harmless(folder: Path) -> None:
    """Every value in turn is removed, or replaced by something of another type."""
    original = json.loads((folder / "bundle.json").read_text())
    original["graphs"] = {"decoder": original["graphs"]["decoder"]}
    refused = 0
    for path in _keys(original):
        for replacement in ("removed", *WRONG):
            document = json.loads(json.dumps(original))
            parent: Any = document
            for key in path[:-1]:
                parent = parent[key]
            if replacement == "removed":
                del parent[path[-1]]
            else:
                parent[path[-1]] = replacement
            (folder / "bundle.json").write_text(json.dumps(document))
            try:
                contents = bundle_contents(load_bundle(folder))
            except BundleError as error:
                refused += 1
                assert str(error).isprintable() and "again" in str(error), (path, replacement)
            else:
                (json_text(contents) + contents_text(contents)).encode()
    assert refused > 900


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["sizes"], [[60, 64]], r"sizes: expected .* multiples of 8 pixels, .* got \[\[60, 64\]\]"),
        (["sizes"], [[80_000, 80_000]], r"sizes: expected .* at most 100 megapixels, got"),
        (["precision"], "int4", "precision: expected fp32 or fp16, got 'int4'"),
        (["latent", "factor"], 4, r"latent\.factor: expected 8, got 4"),
        (
            ["classes", 1, "colour"],
            [2, 0, 0],
            r"classes\[1\]\.colour: expected red, green and blue",
        ),
        (["classes", 1, "name"], "crack", "classes: expected each once, got 'crack' twice"),
        (
            ["graphs", "unet", "inputs", 0, "dtype"],
            "float128",
            r"graphs\.unet\.inputs\[0\]\.dtype: expected float32 or .*, got 'float128'",
        ),
        (
            ["files", "prompts.npz", "sha256"],
            "0",
            r"files\.prompts\.npz\.sha256: expected a SHA-256",
        ),
        (["parity", "rows"], [{"psnr_db": "high"}], r"parity\.rows: expected a list of measured"),
        (["parity", "tolerance"], 5, r"parity\.tolerance: expected an object of numbers, got 5"),
        (["provenance", "loss"], math.nan, "a number in it is NaN or infinite"),
    ],
)
def test_a_wrong_value_in_a_manifest_says_which_expected_and_got(
    folder: Path, path: list[Any], value: Any, said: str
) -> None:
    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    edit(folder, change)
    with pytest.raises(BundleError, match=said) as error:
        load_bundle(folder)
    assert str(folder / "bundle.json") in str(error.value)


@pytest.mark.parametrize(
    "embeds",
    [
        np.zeros((1, 77, 16), np.float32),
        np.zeros((3, 77, 16), np.float32),
        np.zeros((2, 77, 16), np.float64),
        np.full((2, 77, 16), np.nan, np.float32),
    ],
)
def test_prompts_that_are_not_one_for_each_class_are_refused(
    folder: Path, embeds: np.ndarray
) -> None:
    np.savez(folder / "prompts.npz", embeds=embeds)
    save_manifest(folder, json.loads((folder / "bundle.json").read_text()))
    with pytest.raises(BundleError, match=r"prompts\.npz cannot be read .*; export the bundle"):
        load_bundle(folder)


def test_a_class_that_is_taken_out_by_hand_does_not_give_its_prompt_to_the_next(
    folder: Path,
) -> None:
    edit(folder, lambda document: document["classes"].pop(0))
    with pytest.raises(BundleError, match="embeddings of 1 classes, got float32 of shape"):
        load_bundle(folder)


def test_pickled_prompts_are_never_opened(folder: Path) -> None:
    np.savez(folder / "prompts.npz", embeds=np.array([object()], dtype=object))
    document = json.loads((folder / "bundle.json").read_text())
    save_manifest(folder, document)
    with pytest.raises(BundleError, match="allow_pickle=False"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more"])
def test_prompts_that_are_no_archive_are_refused(folder: Path, content: bytes) -> None:
    (folder / "prompts.npz").write_bytes(content)
    save_manifest(folder, json.loads((folder / "bundle.json").read_text()))
    with pytest.raises(BundleError, match=r"prompts\.npz cannot be read .*; export the bundle"):
        load_bundle(folder)


def test_hidden_files_and_engines_are_not_part_of_the_hash(folder: Path) -> None:
    before = (folder / "bundle.json").read_bytes()
    (folder / "engines/orin").mkdir(parents=True)
    (folder / "engines/orin/generator.plan").write_bytes(b"plan")
    (folder / ".DS_Store").write_bytes(b"")
    save_manifest(folder, json.loads(before))
    assert (folder / "bundle.json").read_bytes() == before


def test_the_word_tiny_is_the_shipped_bundle_and_dot_slash_tiny_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_bundle(tmp_path / "tiny", name="mine")
    assert load_bundle(resolve_bundle("./tiny")).name == "mine"
    assert load_bundle(resolve_bundle(tmp_path / "tiny")).name == "mine"
    shutil.copytree(tmp_path / "tiny", tmp_path / "assets/tiny/bundle")
    monkeypatch.setattr("aliaug_edge.assets._ASSETS", tmp_path / "assets")
    assert resolve_bundle("tiny") == tiny_bundle_dir() == tmp_path / "assets/tiny/bundle"


def test_an_installation_without_the_shipped_bundle_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aliaug_edge.assets._ASSETS", tmp_path)
    with pytest.raises(BundleError, match="the shipped bundle is not in this installation"):
        resolve_bundle("tiny")


@pytest.mark.parametrize("carrier, other", [("text", "colour"), ("colour", "text")])
def test_a_prompt_asked_of_a_colour_bundle_is_refused_and_the_other_way(
    tmp_path: Path, carrier: str, other: str
) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "bundle", label_carrier=carrier))
    bundle.require_carrier(carrier)
    with pytest.raises(BundleError, match=f"names its classes by {carrier}, asked for '{other}'"):
        bundle.require_carrier(other)
