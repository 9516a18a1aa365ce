"""Layer documents in the forms of trtexec 10 and 11 (IEngineInspector, sampleReporting.cpp)."""

import json

import pytest

from aliaug_edge.errors import AliAugError
from aliaug_edge.profiling.trt_layers import is_detailed, layers_document, profile_document

CONV = {
    "Name": "conv_in + silu",
    "LayerType": "CaskConvolution",
    "Inputs": [{"Name": "image", "Dimensions": [1, 3, 64, 64], "Format/Datatype": "Half NCHW"}],
    "Outputs": [{"Name": "tap_0", "Dimensions": [1, 8, 64, 64], "Format/Datatype": "Half NHWC8"}],
}


IO = {"Name": "image", "IOMode": "Input", "DataType": "Half", "Dimensions": [1, 3, 64, 64]}


@pytest.mark.parametrize("kept", [{"Bindings": ["image"]}, {"I/O Tensors": [IO]}])
def test_the_inspector_of_both_generations_names_the_bindings(kept):
    """trt-engine-explorer refuses a file without bindings (its parser.py, import_graph_file)."""
    document = layers_document(json.dumps({"Layers": [CONV], **kept, "Build": 3}))
    assert document == {"Layers": [CONV], **kept, "Bindings": ["image"]}
    assert is_detailed(document)


def test_an_engine_without_details_lists_names():
    document = layers_document('{"Layers": ["conv_in", "norm"], "Bindings": []}')
    assert [layer["Name"] for layer in document["Layers"]] == ["conv_in", "norm"]
    assert not is_detailed(document)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"Layers": [{}]}', '{"Bindings": []}', '{"Layers": [], "I/O Tensors": [{}]}'],
)
def test_anything_else_is_one_clear_line(text):
    with pytest.raises(AliAugError, match="engine inspector"):
        layers_document(text)


def test_times_have_the_keys_that_the_analysis_tool_reads():
    document = profile_document({"conv": [1.0, 3.0, 2.0], "norm": [2.0, 2.0, 2.0], "idle": []})
    assert document == [
        {"count": 3},
        {"name": "conv", "timeMs": 6.0, "averageMs": 2.0, "medianMs": 2.0, "percentage": 50.0},
        {"name": "norm", "timeMs": 6.0, "averageMs": 2.0, "medianMs": 2.0, "percentage": 50.0},
    ]
    assert profile_document({}) == [{"count": 0}]
    assert all(len(row) == 5 for row in document[1:])  # trt-engine-explorer takes 4 or 5 keys
