"""An option that is left out means what the library means by it, and what the documents say."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from aliaug_edge.cli.evaluate import evaluate
from aliaug_edge.cli.generate import generate
from aliaug_edge.cli.train import pretrain, train
from aliaug_edge.evaluation.conditions import DEFAULT
from aliaug_edge.evaluation.protocol import EvaluationSettings
from aliaug_edge.generation.request import RunSettings
from aliaug_edge.training.config import TrainConfig
from aliaug_edge.training.pretrain import PretrainSettings

# Written in another form on the command line, where it is read.
OTHER_FORM = {
    train: {"classes", "data"},
    pretrain: set(),
    evaluate: {"classes", "conditions", "data"},
    generate: {"classes", "count", "labels", "severity"},
}


def defaults_of_options(command: Callable[..., None]) -> dict[str, Any]:
    parameters = inspect.signature(command).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        (train, TrainConfig),
        (pretrain, PretrainSettings),
        (evaluate, EvaluationSettings),
        (generate, RunSettings),
    ],
)
def test_a_command_and_its_library_call_have_the_same_defaults(
    command: Callable[..., None], settings: type
) -> None:
    options = defaults_of_options(command)
    fields = {
        field.name: field.default
        for field in dataclasses.fields(settings)
        if field.default is not dataclasses.MISSING
    }
    shared = (options.keys() & fields.keys()) - OTHER_FORM[command]
    assert len(shared) >= 5
    assert {n: options[n] for n in shared} == {n: fields[n] for n in shared}


def test_the_help_of_evaluate_names_the_conditions_that_run_by_default() -> None:
    (option,) = get_type_hints(evaluate, include_extras=True)["conditions"].__metadata__
    (listed,) = re.findall(r"if left out (.*)\.$", option.help)
    assert tuple(listed.split(", ")) == DEFAULT
