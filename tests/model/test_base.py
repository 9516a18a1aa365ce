"""Loading and saving bases: the real layout, its extras, and every way to get it wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from aliaug_edge.errors import AliAugError, OutputError
from aliaug_edge.model.base import (
    PARTS,
    base_sha256,
    extras_of,
    generator_from,
    load_base,
    load_extras,
    save_base,
)
from aliaug_edge.model.text import class_embeddings, class_prompt, embed_prompts
from tests.support.bases import micro_base, write_base


@pytest.fixture
def broken(base_dir: Path, tmp_path: Path) -> Path:
    """A copy of the base to damage."""
    return Path(shutil.copytree(base_dir, tmp_path / "broken"))


def one_line(error: pytest.ExceptionInfo[AliAugError]) -> bool:
    return "\n" not in str(error.value)


def test_a_written_base_comes_back_to_the_bit(base_dir: Path) -> None:
    loaded, wanted = load_base(str(base_dir)), micro_base()
    for part in ("vae", "unet", "text_encoder"):
        theirs = getattr(wanted, part).state_dict()
        for key, value in getattr(loaded, part).state_dict().items():
            assert torch.equal(value, theirs[key]), f"{part}.{key}"
    assert loaded.alpha_bar == wanted.alpha_bar == pytest.approx(0.068**2, rel=0.02)
    assert loaded.extras == {}
    assert loaded.extras_conditioning is None


def test_half_precision_on_disk_is_single_in_memory(tmp_path: Path) -> None:
    half = write_base(tmp_path / "half", half=True)
    whole = write_base(tmp_path / "whole")
    loaded = load_base(str(half))
    assert next(loaded.unet.parameters()).dtype == torch.float32
    weights = "unet/diffusion_pytorch_model.safetensors"
    assert (half / weights).stat().st_size < 0.75 * (whole / weights).stat().st_size


def test_saving_leaves_the_base_in_memory_as_it_was(tmp_path: Path) -> None:
    base = micro_base()
    before = {k: v.clone() for k, v in base.unet.state_dict().items()}
    save_base(base, tmp_path / "out", half=True)
    for key, value in base.unet.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_the_same_base_is_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_base(tmp_path / name, conditioning="light") for name in "ab")
    for path in sorted(p for p in first.rglob("*") if p.is_file()):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path.name


def test_extras_come_back_for_their_conditioning_alone(tmp_path: Path) -> None:
    folder = write_base(tmp_path / "base", conditioning="full")
    assert json.loads((folder / "unet" / "config.json").read_text())["in_channels"] == 4
    loaded = load_base(str(folder))
    assert loaded.extras_conditioning == "full"
    generator = generator_from(loaded, "full")
    assert all(bool(skip.weight.any()) for skip in generator.skips)
    for key, value in extras_of(generator).items():
        assert torch.equal(value, loaded.extras[key]), key
    other = generator_from(load_base(str(folder)), "light")
    assert not any(bool(skip.weight.any()) for skip in other.skips)


def test_extras_of_a_generator_are_copies() -> None:
    generator = generator_from(micro_base(), "light")
    extras = extras_of(generator)
    with torch.no_grad():
        generator.skips[0].weight.fill_(1)
    assert not extras["skips.0.weight"].any()


def test_extras_from_before_the_last_inputs_begin_those_at_zero() -> None:
    donor = generator_from(micro_base(), "light")
    for weight in (*donor.skips.parameters(), donor.unet.conv_in.weight):
        torch.nn.init.ones_(weight)
    narrow = {
        key: value[:, :-2] if value.dim() == 4 and "skips.4" not in key else value
        for key, value in extras_of(donor).items()
    }
    generator = generator_from(micro_base(), "light")
    load_extras(generator, narrow)
    for weight in (*(skip.weight for skip in generator.skips[:-1]), generator.unet.conv_in.weight):
        assert bool((weight[:, :-2] == 1).all())
        assert not weight[:, -2:].any()


def test_appearances_come_back_and_a_base_without_any_has_none(
    base_dir: Path, tmp_path: Path
) -> None:
    assert load_base(str(base_dir)).appearances == {}
    rows = np.array([[0.5, -1, -1, -0.75, 0.25, 0.125, 0.5, -0.5]], np.float32)
    save_base(replace(micro_base(), appearances={"pit": rows}), tmp_path / "base")
    loaded = load_base(str(tmp_path / "base"))
    assert list(loaded.appearances) == ["pit"]
    assert np.array_equal(loaded.appearances["pit"], rows)


@pytest.mark.parametrize("text", ["{", "[1]", '{"pit": [[1, 2]]}', '{"pit": [["a"]]}', "\udcff"])
def test_damaged_appearances_are_one_line(broken: Path, text: str) -> None:
    (broken / "appearances.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(AliAugError, match=r"appearances\.json cannot be read") as error:
        load_base(str(broken))
    assert one_line(error)


def test_a_taken_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match="not an empty folder"):
        save_base(micro_base(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("part", PARTS)
def test_a_folder_without_a_part_is_refused_by_name(broken: Path, part: str) -> None:
    shutil.rmtree(broken / part)
    with pytest.raises(AliAugError, match=f"not a diffusers folder.*missing {part}") as error:
        load_base(str(broken))
    assert one_line(error)


@pytest.mark.parametrize("part", ["vae", "unet", "text_encoder"])
@pytest.mark.parametrize("damage", ["truncated", "text", "absent"])
def test_broken_weights_are_refused(broken: Path, part: str, damage: str) -> None:
    path = next((broken / part).glob("*.safetensors"))
    data = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "truncated" else b"not weights at all")
    with pytest.raises(AliAugError, match="cannot be loaded") as error:
        load_base(str(broken))
    assert one_line(error)


@pytest.mark.parametrize("part", ["vae", "unet", "text_encoder", "scheduler"])
def test_a_broken_config_is_refused(broken: Path, part: str) -> None:
    next((broken / part).glob("*config.json")).write_text("{ half a")
    with pytest.raises(AliAugError, match="cannot be loaded") as error:
        load_base(str(broken))
    assert one_line(error)


@pytest.mark.parametrize("damage", ["facts", "facts_absent", "weights", "widths"])
def test_broken_extras_are_refused(tmp_path: Path, damage: str) -> None:
    folder = write_base(tmp_path / "base", conditioning="light")
    facts, weights = folder / "conditioning.json", folder / "conditioning.safetensors"
    if damage == "facts":
        facts.write_text("[")
    elif damage == "facts_absent":
        facts.unlink()
    elif damage == "weights":
        weights.write_bytes(weights.read_bytes()[:-40])
    else:  # the convolutions of another conditioning
        other = write_base(tmp_path / "other", conditioning="paper")
        shutil.copy(other / weights.name, weights)
    with pytest.raises(AliAugError, match=r"conditioning\.") as error:
        generator_from(load_base(str(folder)), "light")
    assert one_line(error)


@pytest.mark.parametrize(
    "part, change, said",
    [
        (
            "scheduler",
            {"prediction_type": "v_prediction"},
            "prediction_type v_prediction, expected epsilon",
        ),
        (
            "scheduler",
            {"num_train_timesteps": 500},
            "500 timesteps, expected at least 1000",
        ),
    ],
)
def test_a_schedule_of_another_kind_is_refused(
    broken: Path, part: str, change: dict[str, object], said: str
) -> None:
    path = next((broken / part).glob("*config.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(AliAugError, match=said) as error:
        load_base(str(broken))
    assert one_line(error)


def test_a_vae_with_other_levels_is_refused(broken: Path) -> None:
    shutil.rmtree(broken / "vae")
    three = AutoencoderKL(
        block_out_channels=(8, 8, 16),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
    )
    three.save_pretrained(broken / "vae")
    with pytest.raises(AliAugError, match="vae has 3 levels, expected 4; take") as error:
        load_base(str(broken))
    assert one_line(error)


def test_a_base_is_known_by_its_weights_and_not_by_its_files(tmp_path: Path) -> None:
    folders = [write_base(tmp_path / name, conditioning="light") for name in "ab"]
    first, second = (base_sha256(load_base(str(folder))) for folder in folders)
    assert first == second
    assert len(first) == 64
    plain = base_sha256(load_base(str(write_base(tmp_path / "plain"))))
    assert plain != first  # the convolutions count
    assert plain == base_sha256(micro_base())
    assert plain != base_sha256(micro_base(seed=1))


@pytest.mark.parametrize("name", ["nobody/has-this-base", "what is this?"])
def test_an_unknown_name_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # HF_HUB_OFFLINE=1
    with pytest.raises(AliAugError, match=r"cannot be loaded .*hub name with the network") as error:
        load_base(name)
    assert one_line(error)


@pytest.mark.parametrize("name", ["{tmp}/none", "{tmp}/file", "no/such/folder"])
def test_a_path_that_is_no_folder_never_asks_the_hub(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(AliAugError, match="is not a folder; expected vae, unet"):
        load_base(name.format(tmp=tmp_path))


def test_a_prompt_s_embedding_depends_on_its_words_alone(base_dir: Path) -> None:
    base = load_base(str(base_dir))
    names = ["crack", "stain", "grey_stroke"]
    together = embed_prompts(base.tokenizer, base.text_encoder, [class_prompt(n) for n in names])
    alone = class_embeddings(base.tokenizer, base.text_encoder, [class_prompt(n) for n in names])
    assert alone.shape == (3, 77, 16)
    assert alone.dtype == torch.float32
    assert torch.allclose(together, alone, atol=1e-5)
    assert (alone[0] - alone[1]).abs().max() > 0.1
    assert class_prompt("grey_stroke") == "a grey stroke"


def test_unknown_words_are_spelled_in_bytes_not_dropped() -> None:
    tokenizer = micro_base().tokenizer
    texts = ("a crack", "a krack", "ein Riß", "a defect")
    ids = [tuple(tokenizer(text).input_ids) for text in texts]
    assert len(set(ids)) == 4
    assert len(ids[0]) == 4  # start, "a", "crack", end
