"""Executes an ONNX model in numpy by the formulas of formulas.py, and keeps what went through its accumulators.

Here are the quantized operators; those of float networks are in float_interpreter.py, and what becomes of a float
operator between DequantizeLinear and QuantizeLinear is in fusion.py.
"""
import formulas
import numpy as np
import onnx
from accumulators import Mac, conv_terms, matmul_terms
from float_operators import average_pool, over_all, spatial
from formulas import along
from tensors import DTYPES, UINT8, from_proto

OPERATORS = {}  # name -> function(run, node, inputs...) -> output or tuple of outputs


def operator(*names, table=OPERATORS):
    def register(function):
        table.update({name: function for name in names})
        return function

    return register


class Run:
    """values and types of every tensor of `model`, macs of every integer matmul or convolution."""

    def __init__(self, model, inputs, real, fuse):
        self.model, self.real = model, real
        self.fuse = lambda quantize, onnx_type: fuse(self, quantize, onnx_type)
        self.values, self.types, self.macs = {}, {}, {}
        self.producers = {output: node for node in model.graph.node for output in node.output}
        self.uses = [name for node in model.graph.node for name in node.input]
        self.uses += [output.name for output in model.graph.output]
        self.opset = next(o.version for o in model.opset_import if o.domain == "")
        for proto in model.graph.initializer:
            self.keep(proto.name, from_proto(proto), proto.data_type)
        for name, array in inputs.items():
            self.keep(name, array, next(i.type.tensor_type.elem_type for i in model.graph.input if i.name == name))
        for node in model.graph.node:
            outputs = OPERATORS[node.op_type](self, node, *[self.values[n] if n else None for n in node.input])
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            for name, output in zip(node.output, outputs):
                self.keep(name, output, self.types.get(name))

    def keep(self, name, array, onnx_type):
        """Reals are carried in the run's precision; a 4-bit type has to be said."""
        array = np.asarray(array)
        self.values[name] = array.astype(self.real) if array.dtype.kind == "f" else array
        if onnx_type is None and array.dtype.kind != "f":
            onnx_type = next(t for t, dtype in DTYPES.items() if array.dtype == dtype)
        self.types[name] = onnx_type

    def attributes(self, node):
        found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        return {name: v.decode() if isinstance(v, bytes) else v for name, v in found.items()}

    def parameters(self, node, first):
        """(scale, zero point) at inputs `first`, `first` + 1 of a node; zero point 0 when left out."""
        zero = self.values[node.input[first + 1]] if len(node.input) > first + 1 else np.int64(0)
        return self.values[node.input[first]], zero

    def dequantized_by(self, name):
        """(codes, scale, zero point, node) when `name` comes out of a DequantizeLinear, else None."""
        node = self.producers.get(name)
        if node is None or node.op_type != "DequantizeLinear":
            return None
        codes = self.values[node.input[0]]
        scale, zero = self.parameters(node, 1)
        axis = self.attributes(node).get("axis", 1)
        if scale.ndim == codes.ndim and scale.ndim > 0:  # blocked
            return codes, scale, zero, node
        return codes, along(scale, codes.ndim, axis), along(zero, codes.ndim, axis), node

    def integer_mac(self, node, terms, initial):
        self.macs[node.name] = Mac(node.name, terms, initial)
        return self.macs[node.name].final


def conv_accumulators(run, node, x, w, bias):
    """x and w without their zero points."""
    attributes = run.attributes(node)
    window = spatial(attributes, x, w.shape[2:])
    terms = conv_terms(x, w, attributes.get("group", 1), *window)
    initial = 0 if bias is None else np.int64(bias).reshape(1, -1, *[1] * (x.ndim - 2))
    return run.integer_mac(node, terms, initial)


def centred(codes, zero):
    return np.int64(codes) - np.int64(zero)


def per_row(parameter, w):
    return along(parameter, w.ndim, 0)


def per_column(parameter, b):
    """A scale or zero point of b[..., K, N] per column, or already of b's rank."""
    parameter = np.asarray(parameter)
    return parameter if parameter.ndim > 1 else along(parameter, b.ndim, b.ndim - 1)


@operator("QuantizeLinear")
def quantize_linear(run, node, x, scale, zero=None):
    onnx_type = run.types[node.input[2]] if zero is not None else run.attributes(node).get("output_dtype", UINT8)
    run.types[node.output[0]] = onnx_type
    fused = run.fuse(node, onnx_type)
    if fused is not None:
        return fused
    zero = np.int64(0) if zero is None else zero
    attributes = run.attributes(node)
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    if block:
        scale, zero = (np.repeat(v, block, axis) if v.ndim else v for v in (scale, zero))
    else:
        scale, zero = along(scale, x.ndim, axis), along(zero, x.ndim, axis)
    return formulas.quantize(x, scale, zero, onnx_type, run.real)


@operator("DequantizeLinear")
def dequantize_linear(run, node, codes, scale, zero=None):
    zero = np.int64(0) if zero is None else zero
    attributes = run.attributes(node)
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    if block:
        scale, zero = (np.repeat(v, block, axis) if v.ndim else v for v in (scale, zero))
    else:
        scale, zero = along(scale, codes.ndim, axis), along(zero, codes.ndim, axis)
    return formulas.dequantize(codes, scale, zero, run.real)


@operator("DynamicQuantizeLinear")
def dynamic_quantize_linear(run, node, x):
    return formulas.dynamic_quantize(x, run.real)


@operator("QLinearConv")
def qlinear_conv(run, node, x, xs, xz, w, ws, wz, ys, yz, bias=None):
    acc = conv_accumulators(run, node, centred(x, xz), centred(w, per_row(wz, w)), bias)
    return formulas.requantize(acc, xs, along(ws, acc.ndim, 1), ys, yz, run.types[node.input[7]], run.real)


@operator("ConvInteger")
def conv_integer(run, node, x, w, xz=0, wz=0):
    xz, wz = (np.int64(0) if zero is None else zero for zero in (xz, wz))
    return np.int32(conv_accumulators(run, node, centred(x, xz), centred(w, per_row(wz, w)), None))


@operator("MatMulInteger")
def matmul_integer(run, node, a, b, az=0, bz=0):
    az, bz = (np.int64(0) if zero is None else zero for zero in (az, bz))
    az = np.asarray(az)
    az = az.reshape(-1, 1) if az.ndim == 1 and az.size > 1 else az
    terms = matmul_terms(centred(a, az), centred(b, per_column(bz, b)))
    return np.int32(run.integer_mac(node, terms, 0))


@operator("QLinearMatMul")
def qlinear_matmul(run, node, a, sa, az, b, bs, bz, ys, yz):
    acc = run.integer_mac(node, matmul_terms(centred(a, az), centred(b, per_column(bz, b))), 0)
    return formulas.requantize(acc, sa, per_column(bs, acc), ys, yz, run.types[node.input[7]], run.real)


@operator("QGemm")
def qgemm(run, node, a, sa, az, b, bs, bz, c, ys=None, yz=None):
    attributes = run.attributes(node)
    a, b = (v.T if attributes.get(t, 0) else v for v, t in ((centred(a, az), "transA"), (b, "transB")))
    acc = run.integer_mac(node, matmul_terms(a, centred(b, per_column(bz, b))), 0 if c is None else c)
    alpha = attributes.get("alpha", 1.0)
    if ys is None:
        return run.real(acc) * (run.real(alpha) * run.real(sa) * run.real(per_column(bs, acc)))
    return formulas.requantize(acc, sa, per_column(bs, acc), ys, yz, run.types[node.input[8]], run.real, alpha)


@operator("QLinearAdd")
def qlinear_add(run, node, *inputs):
    return formulas.add(*inputs, run.types[node.input[7]], run.real)


@operator("QLinearMul")
def qlinear_mul(run, node, *inputs):
    return formulas.multiply(*inputs, run.types[node.input[7]], run.real)


@operator("QLinearAveragePool")
def qlinear_average_pool(run, node, x, xs, xz, ys, yz):
    if over_all(x, run.attributes(node)):
        return qlinear_global_average_pool(run, node, x, xs, xz, ys, yz)
    mean = average_pool(formulas.dequantize(x, xs, xz, run.real), run.attributes(node))
    return formulas.average(mean, ys, yz, run.types[node.input[4]], run.real)


@operator("QLinearGlobalAveragePool")
def qlinear_global_average_pool(run, node, x, xs, xz, ys, yz):
    axes = tuple(range(1, x.ndim - 1) if run.attributes(node).get("channels_last", 0) else range(2, x.ndim))
    total, count = centred(x, xz).sum(axes, keepdims=True), np.prod([x.shape[a] for a in axes])
    return formulas.global_average(total, count, xs, ys, yz, run.types[node.input[4]], run.real)


def requantized(run, codes, xs, xz, ys, yz, onnx_type):
    return formulas.quantize(formulas.dequantize(codes, xs, xz, run.real), ys, yz, onnx_type, run.real)


@operator("QLinearConcat")
def qlinear_concat(run, node, ys, yz, *inputs):
    parts = [requantized(run, *inputs[i : i + 3], ys, yz, run.types[node.input[1]]) for i in range(0, len(inputs), 3)]
    return np.concatenate(parts, run.attributes(node)["axis"])


@operator("QLinearLeakyRelu")
def qlinear_leaky_relu(run, node, x, xs, xz, ys, yz):
    real = formulas.dequantize(x, xs, xz, run.real)
    real = np.where(real >= 0, real, real * run.real(run.attributes(node)["alpha"]))
    return formulas.quantize(real, ys, yz, run.types[node.input[4]], run.real)
