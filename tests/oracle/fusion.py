"""DequantizeLinear, operator, QuantizeLinear: the one integer operator that ONNX Runtime fuses them to.

So it is at graph optimization level `all` on x86. What it does not fuse is computed in reals.
"""
import formulas
import numpy as np
from float_operators import over_all
from formulas import along
from tensors import DTYPES, INT8, INT32, RANGES, UINT8

FUSED = {}  # operator -> function(run, node, (codes, scale, zero point, node) of its inputs, ofmap's parameters)


def fused(*names):
    def register(function):
        FUSED.update({name: function for name in names})
        return function

    return register


def removable(run, clip, quantize):
    """A Relu or Clip whose bounds the codes' range implies is the QuantizeLinear's own saturation."""
    scale, zero = run.parameters(quantize, 1)
    low, high = RANGES[run.types[quantize.output[0]]]
    if clip.op_type == "Relu":
        return scale.size == 1 and int(zero.reshape(-1)[0]) == low
    attributes = run.attributes(clip)
    bounds = [attributes.get("min", -np.inf), attributes.get("max", np.inf)]
    for i in (1, 2):
        if len(clip.input) > i and clip.input[i]:
            bounds[i - 1] = run.values[clip.input[i]]
    ends = [formulas.dequantize(np.int64(code), scale, zero, run.real) for code in (low, high)]
    return bounds[0] <= ends[0] and bounds[1] >= ends[1]


def becomes_unsigned(run, codes):
    """Whether ONNX Runtime on x86 turns the int8 codes of this name into uint8 codes, 128 higher: those that go
    from a QuantizeLinear to one DequantizeLinear of one operator and nowhere else."""
    producer = run.producers.get(codes)
    if producer is None or producer.op_type != "QuantizeLinear" or run.types[codes] != INT8:
        return False
    users = [node for node in run.model.graph.node if codes in node.input]
    alone = run.uses.count(codes) == 1 and len(users) == 1 and users[0].op_type == "DequantizeLinear"
    output = users[0].output[0] if alone else None
    return alone and (run.uses.count(output) == 1 or output in [o.name for o in run.model.graph.output])


def as_fused(run, codes):
    """(type, 0 or 128): what an operator fused on x86 sees of these codes."""
    return (UINT8, 128) if becomes_unsigned(run, codes) else (run.types[codes], 0)


def fuse(run, quantize, onnx_type):
    """The codes that the integer operator fused from quantize's operator gives; None when none is fused.

    On x86 the ifmap and the ofmap have to be of one 8-bit type, and uint8 for Conv and MatMul.
    """
    node = run.producers.get(quantize.input[0])
    while node is not None and node.op_type in ("Relu", "Clip"):
        if run.uses.count(node.input[0]) != 1 or not removable(run, node, quantize):
            return None
        node = run.producers.get(node.input[0])
    if node is None or node.op_type not in FUSED or run.uses.count(node.output[0]) != 1:
        return None
    sources = [run.dequantized_by(name) for name in node.input if name]
    if any(source is None for source in sources):
        return None
    names = [source[3].input[0] for source in sources]
    if any(run.types[name] not in (UINT8, INT8, INT32) for name in names):
        return None
    seen = [as_fused(run, name) for name in names]
    y_type, y_shift = as_fused(run, quantize.output[0])
    with_weights = node.op_type in ("Conv", "MatMul", "Gemm")
    if any(x_type != y_type for x_type, _ in (seen[:1] if with_weights else seen)):
        return None
    if y_type not in (UINT8, INT8) or (node.op_type in ("Conv", "MatMul") and y_type != UINT8):
        return None
    sources = [(np.int64(codes) + shift, scale, np.int64(zero) + shift, source)
               for (codes, scale, zero, source), (_, shift) in zip(sources, seen)]  # fmt: skip
    scale, zero = run.parameters(quantize, 1)
    codes = FUSED[node.op_type](run, node, sources, scale, np.int64(zero) + y_shift, y_type)
    return (np.int64(codes) - y_shift).astype(DTYPES[onnx_type])


def codes_of(sources):
    """codes, scale, zero point, codes, scale, zero point, ..."""
    return [part for source in sources for part in source[:3]]


@fused("Conv")
def fused_conv(run, node, sources, ys, yz, onnx_type):
    acc = run.macs[node.name].final
    return formulas.requantize(acc, sources[0][1], along(sources[1][1], acc.ndim, 1), ys, yz, onnx_type, run.real)


@fused("MatMul", "Gemm")
def fused_matmul(run, node, sources, ys, yz, onnx_type):
    attributes, acc = run.attributes(node), run.macs[node.name].final
    columns = sources[1][1].reshape(-1) if sources[1][1].ndim <= 2 else sources[1][1]
    alpha = attributes.get("alpha", 1.0)
    return formulas.requantize(acc, sources[0][1], columns, ys, yz, onnx_type, run.real, alpha)


@fused("Add")
def fused_add(run, node, sources, ys, yz, onnx_type):
    return formulas.add(*codes_of(sources), ys, yz, onnx_type, run.real)


@fused("Mul")
def fused_mul(run, node, sources, ys, yz, onnx_type):
    return formulas.multiply(*codes_of(sources), ys, yz, onnx_type, run.real)


@fused("AveragePool")
def fused_average_pool(run, node, sources, ys, yz, onnx_type):
    if over_all(sources[0][0], run.attributes(node)):
        return fused_global_average_pool(run, node, sources, ys, yz, onnx_type)
    return formulas.average(run.values[node.output[0]], ys, yz, onnx_type, run.real)


@fused("Softmax")
def fused_softmax(run, node, sources, ys, yz, onnx_type):
    codes, xs, _, _ = sources[0]
    axis = run.attributes(node).get("axis", -1)
    return formulas.softmax(codes, axis, xs, ys, yz, onnx_type, run.real)


@fused("GlobalAveragePool")
def fused_global_average_pool(run, node, sources, ys, yz, onnx_type):
    codes, xs, xz, _ = sources[0]
    total = (codes - xz).sum(tuple(range(2, codes.ndim)), keepdims=True)
    return formulas.global_average(total, np.prod(codes.shape[2:]), xs, ys, yz, onnx_type, run.real)
