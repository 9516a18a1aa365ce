"""Engines by name."""

from __future__ import annotations

import pytest

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines import engine_choices, open_engine
from aliaug_edge.errors import AliAugError, BundleError


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("onnxruntime", "onnxruntime-cpu"), ("onnxruntime-gpu", "onnxruntime-cuda"), ("Auto", "auto")],
)
def test_an_unknown_engine_is_refused_with_the_nearest_name(
    bundle: Bundle, asked: str, nearest: str
) -> None:
    every = "auto, onnxruntime-cpu, onnxruntime-cuda, tensorrt"
    with pytest.raises(AliAugError, match=rf"did you mean {nearest}\?\); there are {every}"):
        open_engine(bundle, engine=asked)


def test_a_name_like_no_engine_gets_no_suggestion(bundle: Bundle) -> None:
    with pytest.raises(AliAugError, match="unknown engine 'zzz'; there are auto"):
        open_engine(bundle, engine="zzz")


def test_tensorrt_is_announced_for_later(bundle: Bundle) -> None:
    with pytest.raises(AliAugError, match="comes with `ali-aug build`, not in this release"):
        open_engine(bundle, engine="tensorrt")


def test_a_graph_that_the_bundle_lacks_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"no graph 'text_encoder'; it has \['decoder'"):
        open_engine(bundle, "text_encoder", engine="onnxruntime-cpu")


def test_every_engine_that_cannot_run_says_why() -> None:
    choices = {choice.name: choice for choice in engine_choices()}
    assert list(choices) == ["onnxruntime-cpu", "onnxruntime-cuda", "tensorrt"]
    assert choices["onnxruntime-cpu"].available
    assert all(choice.reason for choice in choices.values())
    assert choices["tensorrt"].reason == "comes with `ali-aug build`, not in this release"
