"""The configuration of a run: saved, read back, and refused where it makes no sense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aliaug_edge import files
from aliaug_edge.errors import AliAugError
from aliaug_edge.model.adapters import UNET_TARGETS
from aliaug_edge.training.config import TrainConfig, config_document, load_config
from aliaug_edge.training.losses import LossWeights


def write(path: Path, **document: object) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_config_comes_back_equal(tmp_path: Path) -> None:
    config = TrainConfig(
        data="parts",
        classes=("crack", "stain"),
        label_carrier="both",
        skips=False,
        noise=False,
        max_defects=5,
        alpha_vae=8.0,
        targets_vae=("conv_in",),
        weights=LossWeights(perceptual=0.0),
        groups="groups.csv",
    )
    files.write_json(tmp_path / "config.json", config_document(config))
    assert load_config(tmp_path / "config.json") == config


def test_what_a_user_leaves_out_takes_its_default(tmp_path: Path) -> None:
    config = load_config(write(tmp_path / "c.json", data="parts", weights={"inside": 2}))
    assert config == TrainConfig(data="parts", weights=LossWeights(inside=2))
    assert config.targets_unet == UNET_TARGETS


def test_the_default_scale_of_both_adapters_is_one() -> None:
    assert [spec.scale for spec in TrainConfig(data="x").adapters.values()] == [1.0, 1.0]
    assert [spec.rank for spec in TrainConfig(data="x").adapters.values()] == [8, 4]


@pytest.mark.parametrize(
    "field, value, said",
    [
        ("conditioning", "heavy", "expected one of paper, full, light"),
        ("label_carrier", "smell", "expected one of text, colour, both, none"),
        ("precision", "fp8", "expected one of auto, fp32, bf16"),
        ("size", 100, "multiple of 8, at least 32"),
        ("size", 24, "multiple of 8, at least 32"),
        ("size", "128", "expected int"),
        ("steps", 0, "at least 1"),
        ("steps", 2.5, "expected int"),
        ("steps", True, "expected int"),
        ("skips", 1, "expected bool"),
        ("noise", "off", "expected bool"),
        ("max_defects", -1, "0 or more"),
        ("max_defects", True, "expected int"),
        ("batch_size", 0, "at least 1"),
        ("rank_unet", 0, "at least 1"),
        ("rank_vae", -4, "at least 1"),
        ("alpha_vae", 0, "more than 0"),
        ("learning_rate", float("nan"), "more than 0"),
        ("learning_rate", float("inf"), "more than 0"),
        ("learning_rate", "fast", "expected float"),
        ("unpaired_share", 1.5, "expected 0 … 1"),
        ("ema_decay", -0.1, "expected 0 … 1"),
        ("adversarial_from", 2, "expected 0 … 1"),
        ("seed", -1, "0 or more"),
        ("seed", None, "expected int"),
        ("data", 5, "expected str"),
        ("classes", "crack", "expected tuple"),
        ("classes", [1], "expected tuple"),
        ("weights", {"inside": "much"}, "inside 'much'"),
        ("weights", {"inside": -1}, "inside -1"),
        ("weights", {"outside": 1}, "outside"),
        ("weights", [1], "config"),
        ("wieghts", {}, "unknown fields"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_its_name(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    path = write(tmp_path / "config.json", **{"data": "parts", field: value})
    with pytest.raises(AliAugError, match=said) as error:
        load_config(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"steps": 5}', "\udcff"])
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(AliAugError, match="config"):
        load_config(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AliAugError, match=r"none\.json cannot be read"):
        load_config(tmp_path / "none.json")
