"""What each TensorRT's ONNX parser takes, so that a graph is refused before anything is built.

Sources: docs/operators.md of onnx-tensorrt at 8.5, 8.6 and 10.1; the changelog of NVIDIA/TensorRT
for what came later. The parser has the last word: what it still refuses is reported as it says it.
"""

from __future__ import annotations

from aliaug_edge.engines.building.onnx_facts import OnnxFacts
from aliaug_edge.engines.plan import EngineError, version_tuple

# (from TensorRT, newest opset)
_OPSETS = (((8, 5), 17), ((10, 0), 20), ((10, 9), 21), ((10, 14), 23), ((11, 0), 24))
_CONTROL_FLOW = ("If", "Loop", "Scan")  # taken by the parser, but never needed and a known trap

_SINCE_8_5 = frozenset(
    """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast
    Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace
    DequantizeLinear Div Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather
    GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater
    GreaterOrEqual GridSample HardSigmoid HardSwish Identity InstanceNormalization IsNaN LRN LSTM
    LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul Max MaxPool Mean
    MeanVarianceNormalization Min Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow
    QuantizeLinear RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range
    Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign Round
    ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus
    Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose
    Trilu Unsqueeze Where Xor
    """.split()  # noqa: SIM905 - a list of 130 quoted words reads worse
)
_SINCE = {
    "IsInf": (8, 6),
    "LayerNormalization": (8, 6),
    "CastLike": (10, 0),
    "DeformConv": (10, 0),
    "Gelu": (10, 0),
    "Hardmax": (10, 0),
    "Mish": (10, 0),
    # 8.6 to 10.8 take the operator of opset 18, which is withdrawn: its scale had another shape.
    "GroupNormalization": (10, 9),
    "Attention": (10, 14),
    "RMSNormalization": (10, 15),
    "RotaryEmbedding": (10, 15),
    "Swish": (11, 0),
}


def newest_opset(tensorrt: str) -> int:
    """The newest ONNX opset that this TensorRT's parser takes.

    Raises:
        EngineError: a TensorRT older than 8.5.
    """
    version = version_tuple(tensorrt)
    taken = [opset for since, opset in _OPSETS if version[:2] >= since]
    if not taken:
        raise EngineError(f"TensorRT {tensorrt} is too old: 8.5 is the oldest that is supported")
    return taken[-1]


def check_parsable(graph: str, facts: OnnxFacts, tensorrt: str) -> None:
    """Refuse a graph that this TensorRT's parser does not take.

    Raises:
        EngineError: names the graph, what is in it, and what to do.
    """
    newest = newest_opset(tensorrt)
    if facts.opset > newest:
        raise EngineError(
            f"graph {graph} has ONNX opset {facts.opset}, TensorRT {tensorrt} takes up to "
            f"{newest}: run `ali-aug export … --opset {newest}`"
        )
    flow = [name for name in _CONTROL_FLOW if name in facts.operators]
    if flow:
        raise EngineError(
            f"graph {graph} has {', '.join(flow)}: control flow is not built; export it without"
        )
    unknown = [name for name in facts.operators if not _taken(name, tensorrt)]
    if unknown:
        raise EngineError(
            f"graph {graph} has operators that TensorRT {tensorrt} does not take: "
            f"{', '.join(sorted(unknown))}; export it with primitives, or use a newer TensorRT"
        )


def _taken(operator: str, tensorrt: str) -> bool:
    since = _SINCE.get(operator)
    return operator in _SINCE_8_5 or (since is not None and version_tuple(tensorrt)[:2] >= since)
