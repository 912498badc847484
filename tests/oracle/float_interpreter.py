"""The operators of float networks, and execute(), which runs a model with all operators."""
import float_operators
import numpy as np
from accumulators import matmul_terms
from float_operators import spatial
from fusion import as_fused, fuse
from interpreter import Run, centred, conv_accumulators, operator
from tensors import DTYPES, UINT8, from_proto


def execute(model, inputs, real):
    """The Run of a model; `real` as in formulas.py."""
    return Run(model, inputs, real, fuse)


def dequantized(run, node, bias_at):
    """Codes without zero points of x, w and the int32 bias when all come out of DequantizeLinear, else None."""
    sources = [run.dequantized_by(name) for name in node.input if name]
    if len(sources) < 2 or any(source is None for source in sources):
        return None
    x, w = (centred(codes, zero) for codes, _, zero, _ in sources[:2])
    return x, w, sources[2][0] if len(sources) > bias_at else None


@operator("Conv")
def conv(run, node, x, w, bias=None):
    codes = dequantized(run, node, 2)
    if codes is not None:
        conv_accumulators(run, node, *codes)
    attributes = run.attributes(node)
    return float_operators.conv(x, w, bias, attributes.get("group", 1), *spatial(attributes, x, w.shape[2:]))


@operator("MatMul")
def matmul(run, node, a, b):
    codes = dequantized(run, node, 2)
    if codes is not None:
        acc = run.integer_mac(node, matmul_terms(codes[0], codes[1]), 0)
        users = [user.op_type for user in run.model.graph.node if node.output[0] in user.input]
        (_, xs, _, source), (_, ws, _, _) = (run.dequantized_by(name) for name in node.input)
        if users != ["QuantizeLinear"] and as_fused(run, source.input[0])[0] == UINT8:
            return run.real(acc) * (run.real(xs) * run.real(ws))  # com.microsoft MatMulIntegerToFloat
    return matmul_terms(a, b).sum(0)


@operator("Gemm")
def gemm(run, node, a, b, c=None):
    attributes = run.attributes(node)

    def turned(x, y):
        return (x.T if attributes.get("transA", 0) else x), (y.T if attributes.get("transB", 0) else y)

    codes = dequantized(run, node, 2)
    if codes is not None:
        run.integer_mac(node, matmul_terms(*turned(*codes[:2])), 0 if codes[2] is None else codes[2])
    y = matmul_terms(*turned(a, b)).sum(0) * run.real(attributes.get("alpha", 1.0))
    return y if c is None else y + c * run.real(attributes.get("beta", 1.0))


@operator("ConvTranspose")
def conv_transpose(run, node, x, w, bias=None):
    return float_operators.conv_transpose(x, w, bias, run.attributes(node))


@operator("BatchNormalization")
def batch_normalization(run, node, x, scale, bias, mean, variance):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    factor = scale / np.sqrt(variance + run.real(run.attributes(node).get("epsilon", 1e-5)))
    return (x - mean.reshape(shape)) * factor.reshape(shape) + bias.reshape(shape)


@operator("MaxPool")
def max_pool(run, node, x):
    return float_operators.max_pool(x, run.attributes(node))


@operator("AveragePool")
def average_pool(run, node, x):
    return float_operators.average_pool(x, run.attributes(node))


@operator("GlobalAveragePool")
def global_average_pool(run, node, x):
    return x.mean(tuple(range(2, x.ndim)), keepdims=True)


@operator("ReduceMean")
def reduce_mean(run, node, x, axes=None):
    attributes = run.attributes(node)
    axes = tuple(attributes["axes"] if axes is None else axes)
    return x.mean(axes, keepdims=bool(attributes.get("keepdims", 1)))


@operator("Add")
def add(run, node, a, b):
    return a + b


@operator("Sub")
def subtract(run, node, a, b):
    return a - b


@operator("Mul")
def multiply(run, node, a, b):
    return a * b


@operator("Relu")
def relu(run, node, x):
    return np.maximum(x, x.dtype.type(0))


@operator("LeakyRelu")
def leaky_relu(run, node, x):
    return np.where(x >= 0, x, x * run.real(run.attributes(node).get("alpha", 0.01)))


@operator("Clip")
def clip(run, node, x, low=None, high=None):
    attributes = run.attributes(node)
    low, high = attributes.get("min", low), attributes.get("max", high)
    x = x if low is None else np.maximum(x, x.dtype.type(low))
    return x if high is None else np.minimum(x, x.dtype.type(high))


@operator("Sigmoid")
def sigmoid(run, node, x):
    return 1 / (1 + np.exp(-x))


@operator("Tanh")
def tanh(run, node, x):
    return np.tanh(x)


@operator("HardSigmoid")
def hard_sigmoid(run, node, x):
    attributes = run.attributes(node)
    alpha, beta = run.real(attributes.get("alpha", 0.2)), run.real(attributes.get("beta", 0.5))
    return np.clip(x * alpha + beta, run.real(0), run.real(1))


@operator("HardSwish")
def hard_swish(run, node, x):
    return x * np.clip(x / run.real(6) + run.real(0.5), run.real(0), run.real(1))


@operator("Softmax")
def softmax(run, node, x):
    axis = run.attributes(node).get("axis", -1 if run.opset >= 13 else 1)
    if run.opset >= 13:
        return float_operators.softmax(x, axis)
    return float_operators.softmax(x.reshape(int(np.prod(x.shape[:axis])), -1), 1).reshape(x.shape)


@operator("Resize", "Upsample")
def resize(run, node, x, *more):
    attributes = run.attributes(node)
    if node.op_type == "Upsample" or run.opset < 11:  # X, scales
        attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return float_operators.resize_nearest(x, attributes, more[0], None)
    scales, sizes = (list(more[1:]) + [None, None])[:2]
    return float_operators.resize_nearest(x, attributes, scales, sizes)


# ---- shapes ----


@operator("Constant")
def constant(run, node):
    return from_proto(run.attributes(node)["value"])


@operator("Identity", "Dropout")
def identity(run, node, x, *unused):
    return x


@operator("Shape")
def shape(run, node, x):
    return np.array(x.shape, np.int64)


@operator("Gather")
def gather(run, node, x, indices):
    return np.take(x, indices, axis=run.attributes(node).get("axis", 0))


@operator("Concat")
def concat(run, node, *inputs):
    return np.concatenate(inputs, run.attributes(node)["axis"])


@operator("Split")
def split(run, node, x, sizes=None):
    attributes = run.attributes(node)
    sizes = attributes.get("split", sizes)
    count = len(node.output)
    parts = count if sizes is None else np.cumsum(sizes)[:-1]
    return tuple(np.split(x, parts, attributes.get("axis", 0)))


@operator("Slice")
def slice_(run, node, x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cuts = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        cuts[axis] = slice(int(start), int(end), int(step))
    return x[tuple(cuts)]


@operator("Pad")
def pad(run, node, x, pads=None, value=None):
    attributes = run.attributes(node)
    pads = attributes.get("pads", pads)
    widths = list(zip(pads[: x.ndim], pads[x.ndim :]))
    mode = {"constant": "constant", "reflect": "reflect", "edge": "edge"}[attributes.get("mode", "constant")]
    fill = {"constant_values": attributes.get("value", 0) if value is None else value} if mode == "constant" else {}
    return np.pad(x, widths, mode, **fill)


@operator("Squeeze")
def squeeze(run, node, x, axes=None):
    return np.squeeze(x, tuple(int(a) for a in run.attributes(node).get("axes", axes)))


@operator("Unsqueeze")
def unsqueeze(run, node, x, axes=None):
    return np.expand_dims(x, tuple(int(a) for a in run.attributes(node).get("axes", axes)))


@operator("Reshape")
def reshape(run, node, x, target):
    return x.reshape([x.shape[i] if size == 0 else int(size) for i, size in enumerate(target)])


@operator("Flatten")
def flatten(run, node, x):
    axis = run.attributes(node).get("axis", 1)
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


@operator("Transpose")
def transpose(run, node, x):
    return x.transpose(run.attributes(node)["perm"])


@operator("Cast")
def cast(run, node, x):
    return x.astype(DTYPES[run.attributes(node)["to"]])
