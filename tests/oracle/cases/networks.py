"""Whole small networks."""
import numpy as np
from accumulators import conv_terms, matmul_terms
from network import case
from tensors import INT8, UINT8


def conv(network, name, x, reals, x_type=UINT8, y_type=UINT8, relu=True, **attributes):
    """Conv of quantized x with per-channel weights, Relu, and the ofmap's QuantizeLinear and DequantizeLinear."""
    w = network.weights(f"{name}_w", reals, INT8, axis=0)
    scale = x.removesuffix("_real") + "_scale"
    b = network.bias(f"{name}_b", network.reals(reals.shape[0]), scale, f"{name}_w_scale")
    y = network.add("Conv", x, w, b, to=f"{name}_sum", **attributes)
    y = network.add("Relu", y, to=f"{name}_act") if relu else y
    return network.quantized(y, y_type)


def qdq_residual(network, onnx_type):
    network.simulate = False
    network.input("x", network.reals(2, 3, 12, 12))
    same = dict(pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    spread = 0.3
    options = dict(x_type=onnx_type, y_type=onnx_type)
    x = network.quantized("x", onnx_type)
    stem = conv(network, "stem", x, network.reals(8, 3, 3, 3, spread=spread), **same, **options)
    a = conv(network, "conv1", stem, network.reals(8, 8, 3, 3, spread=spread), **same, **options)
    a = conv(network, "conv2", a, network.reals(8, 8, 3, 3, spread=spread), relu=False, **same, **options)
    y = network.quantized(network.add("Relu", network.add("Add", a, stem), to="block1"), onnx_type)
    down = dict(same, strides=[2, 2])
    a = conv(network, "conv3", y, network.reals(12, 8, 3, 3, spread=spread), **down, **options)
    a = conv(network, "conv4", a, network.reals(12, 12, 3, 3, spread=spread), relu=False, **same, **options)
    short = conv(network, "short", y, network.reals(12, 8, 1, 1), relu=False, strides=[2, 2], **options)
    y = network.quantized(network.add("Relu", network.add("Add", a, short), to="block2"), onnx_type)
    y = network.quantized(network.add("GlobalAveragePool", y, to="pool"), onnx_type)
    y = network.add("Flatten", y, to="flat")
    y = network.add("QuantizeLinear", y, "pool_scale", "pool_zero", to="flat_codes")
    y = network.add("DequantizeLinear", y, "pool_scale", "pool_zero", to="flat_real")
    w = network.weights("fc_w", network.reals(10, 12), INT8, axis=0)
    b = network.bias("fc_b", network.reals(10), "pool_scale", "fc_w_scale")
    y = network.add("Gemm", y, w, b, to="fc", transB=1)
    return network.output(network.quantized(y, onnx_type))


@case
def net_qdq_residual_u8(network):
    return qdq_residual(network, UINT8)


@case
def net_qdq_residual_s8(network):
    return qdq_residual(network, INT8)


@case
def net_qoperator_separable(network):
    """Depthwise-separable, as ONNX Runtime's quantizer writes it in the QOperator format."""
    network.simulate = False
    network.input("x", network.reals(2, 3, 12, 12))
    y, scale, zero = network.quantize("x", UINT8)

    def conv(name, channels, group=1, kernel=3, strides=(1, 1)):
        nonlocal y, scale, zero
        x = np.int64(network.value(y)) - np.int64(network.constant_value(zero))
        codes = network.codes(INT8, channels, x.shape[1] // group, kernel, kernel)
        bias = network.random.integers(-2000, 2001, channels).astype(np.int32)
        pads = [kernel // 2] * 4
        w = network.constant(f"{name}_w", codes)
        w_scale = network.constant(f"{name}_w_scale", np.float32(network.random.integers(40, 99, channels) / 9000))
        w_zero = network.constant(f"{name}_w_zero", np.zeros(channels, np.int8))
        acc = conv_terms(x, np.int64(codes), group, strides, pads, (1, 1)).sum(0) + bias.reshape(-1, 1, 1)
        real = acc * network.constant_value(scale) * network.constant_value(w_scale).reshape(-1, 1, 1)
        y_scale, y_zero = network.fitted(name, np.maximum(real, 0), UINT8)
        y = network.add("QLinearConv", y, scale, zero, w, w_scale, w_zero, y_scale, y_zero,
                        network.constant(f"{name}_b", bias), to=name, group=group, kernel_shape=[kernel, kernel],
                        pads=pads, strides=strides)  # fmt: skip
        scale, zero = y_scale, y_zero

    conv("stem", 8)
    y = network.add("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    conv("depth1", 8, group=8)
    conv("point1", 12, kernel=1)
    conv("depth2", 12, group=12, strides=(2, 2))
    conv("point2", 16, kernel=1)
    real = (network.value(y).astype(np.float64) - network.constant_value(zero)) * network.constant_value(scale)
    p_scale, p_zero = network.fitted("pool", real.mean((2, 3)), UINT8, keep=1)
    y = network.microsoft("QLinearGlobalAveragePool", y, scale, zero, p_scale, p_zero, channels_last=0)
    y = network.add("Flatten", y)
    codes = network.codes(INT8, 16, 10)
    network.constant("fc_w", codes), network.parameters("fc_w", 0.0061, 0, INT8)
    bias = network.constant("fc_b", network.random.integers(-900, 901, 10).astype(np.int32))
    x = np.int64(network.value(y)) - np.int64(network.constant_value(p_zero))
    acc = matmul_terms(x, np.int64(codes)).sum(0) + network.constant_value("fc_b")
    y_scale, y_zero = network.fitted("fc", acc * network.constant_value(p_scale) * np.float32(0.0061), UINT8)
    y = network.microsoft("QGemm", y, p_scale, p_zero, "fc_w", "fc_w_scale", "fc_w_zero", bias, y_scale, y_zero)
    return network.output(network.add("DequantizeLinear", y, y_scale, y_zero, to="y"))


@case
def net_float_many_operators(network):
    """What exporters write around a CNN; the batch is symbolic and the flatten computes its shape at run time."""
    network.simulate = False
    network.opset = 14
    network.input("x", network.reals(2, 3, 8, 8), shape=["N", 3, 8, 8])

    def conv(x, name, *shape, op="Conv", **attributes):
        network.constant(f"{name}_w", network.reals(*shape, spread=0.4))
        network.constant(f"{name}_b", network.reals(shape[0 if op == "Conv" else 1], spread=0.2))
        return network.add(op, x, f"{name}_w", f"{name}_b", **attributes)

    def integers(*values):
        return network.literal(f"integers_{len(network.nodes)}", np.int64(values))

    y = network.add("Pad", "x", integers(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect")
    y = network.add("HardSwish", conv(y, "stem", 8, 3, 3, 3))
    gate = network.add("ReduceMean", y, axes=[2, 3], keepdims=1)  # squeeze and excite
    gate = network.add("HardSigmoid", conv(gate, "gate", 8, 8, 1, 1), alpha=1 / 6)
    y = network.add("Mul", y, gate)
    network.add("Split", y, integers(4, 4), outputs=["left", "right"], axis=1)
    left = network.add("LeakyRelu", conv("left", "left", 4, 4, 3, 3, pads=[1, 1, 1, 1]), alpha=0.1)
    right = network.add("Tanh", network.add("Slice", "right", integers(0), integers(8), integers(2)))
    y = network.add("Concat", left, right, axis=1)
    y = network.add("Gather", y, integers(0, 4, 1, 5, 2, 6, 3, 7), axis=1)  # channel shuffle
    y = network.add("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    up = conv(y, "up", 8, 4, 2, 2, op="ConvTranspose", strides=[2, 2])
    scales = network.literal("scales", np.float32([1, 1, 2, 2]))
    near = network.add("Resize", conv(y, "near", 4, 8, 1, 1), "", scales, mode="nearest",
                       coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
    y = network.add("Sigmoid", network.add("Add", up, near))
    y = network.add("Unsqueeze", y, integers(1))
    y = network.add("Squeeze", y, integers(1))
    batch = network.add("Gather", network.add("Shape", y), network.literal("zero", np.int64(0)), axis=0)
    target = network.add("Concat", network.add("Unsqueeze", batch, integers(0)), integers(-1), axis=0)
    y = network.add("Reshape", y, target)
    network.constant("fc_w", network.reals(10, 256, spread=0.1)), network.constant("fc_b", network.reals(10))
    y = network.add("Gemm", y, "fc_w", "fc_b", transB=1)
    return network.output(network.add("Softmax", y, to="y", axis=-1), shape=["N", 10])
