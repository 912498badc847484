"""QuantizeLinear and DequantizeLinear around float operators, as quantizers and exporters write them.

On x86 ONNX Runtime fuses an operator with ifmap and ofmap of one 8-bit type. Before that it turns int8 codes into
uint8 where one QuantizeLinear feeds one DequantizeLinear, so int8 codes that are an output of the model keep their
operator in float32: `..._s8` ends in codes and is not fused, `..._s8_real` ends in reals and is.
"""
import numpy as np
from network import case, cases
from tensors import INT4, INT8, INT16, UINT4, UINT8, UINT16


def finish(network, x, onnx_type, real=False, **options):
    """The output's QuantizeLinear; with `real` a DequantizeLinear after it."""
    codes, scale, zero = network.quantize(x, onnx_type, to="y_codes" if real else "y", **options)
    return network.output(network.add("DequantizeLinear", codes, scale, zero, to="y") if real else codes)


def four_or_sixteen(network, *types):
    if any(t in (INT4, UINT4, INT16, UINT16) for t in types):
        network.opset, network.ir_version = 21, 10


@cases({
    "qdq_conv_u8": dict(),
    "qdq_conv_s8_per_channel": dict(x_type=INT8, y_type=INT8, axis=0),
    "qdq_conv_s8_real": dict(x_type=INT8, y_type=INT8, axis=0, real=True),
    "qdq_conv_no_bias": dict(bias=False, axis=0),
    "qdq_conv_float_bias": dict(bias="float", axis=0),
    "qdq_conv_float_bias_ties": dict(bias="float", power_of_two=True),
    "qdq_conv_depthwise": dict(x=(1, 6, 8, 8), w=(6, 1, 3, 3), group=6, axis=0, real=True),
    "qdq_conv_relu": dict(between=["Relu"], axis=0),
    "qdq_conv_relu6": dict(between=["Clip"]),
    "qdq_conv_relu_symmetric": dict(x_type=INT8, y_type=INT8, between=["Relu"], symmetric=True),  # Relu stays
    "qdq_conv_leakyrelu": dict(x_type=INT8, y_type=INT8, between=["Q", "LeakyRelu"]),
    "qdq_conv_stride2": dict(strides=[2, 2], pads=[0, 0, 1, 1], axis=0),
    "qdq_conv_1d": dict(x=(1, 3, 16), w=(4, 3, 3), pads=[1, 1]),
    "qdq_conv_ties": dict(power_of_two=True),
    "qdq_conv_s8_ties": dict(x_type=INT8, y_type=INT8, power_of_two=True),
    "qdq_conv_float_output": dict(open_end=True, axis=0),  # no QuantizeLinear after it
    "qdq_conv_s4_weights": dict(w_type=INT4),
    "qdq_conv_s4_weights_per_channel": dict(w_type=INT4, axis=0, x_type=INT8, y_type=INT8),
    "qdq_conv_u4_s4": dict(x_type=UINT4, w_type=INT4, y_type=UINT4, axis=0, real=True),
    "qdq_conv_u16_activations": dict(x_type=UINT16, y_type=UINT16),
})  # fmt: skip
def conv(network, x=(1, 3, 8, 8), w=(4, 3, 3, 3), x_type=UINT8, w_type=INT8, y_type=UINT8, axis=None, bias=True,
         between=(), real=False, symmetric=False, power_of_two=False, open_end=False, **attributes):  # fmt: skip
    four_or_sixteen(network, x_type, w_type, y_type)
    attributes = {"pads": [1] * (2 * (len(x) - 2)), "kernel_shape": w[2:]} | attributes
    options = dict(symmetric=symmetric, power_of_two=power_of_two)
    network.input("x", network.reals(*x))
    names = [network.quantized("x", x_type, **options)]
    weights = network.reals(*w)
    if power_of_two:
        weights = np.float32(network.codes(INT8, *w) * 2.0**-7)
        weights.reshape(-1)[0] = 127 * 2.0**-7
    names.append(network.weights("w", weights, w_type, axis))
    if bias == "float":
        names.append(network.constant("b", network.reals(w[0], spread=0.3)))
    elif bias:
        names.append(network.bias("b", network.reals(w[0], spread=3), "x_scale", "w_scale"))
    y = network.add("Conv", *names, **attributes)
    for op in between:
        if op == "Q":
            y = network.quantized(y, y_type)
        elif op == "Clip":
            y = network.add("Clip", y, network.constant("low", np.float32(0)), network.constant("high", np.float32(6)))
        else:
            y = network.add(op, y)
    if open_end:
        return network.output(network.add("Identity", y, to="y"))
    return finish(network, y, y_type, real, keep=1.0 if "Clip" in between else 0.9, **options)


@cases({
    "qdq_gemm_s8": dict(a_type=INT8, y_type=INT8),
    "qdq_gemm_s8_real": dict(a_type=INT8, y_type=INT8, axis=0, real=True),
    "qdq_gemm_per_column": dict(axis=0),
    "qdq_gemm_untransposed": dict(turned=False),
    "qdq_gemm_float_bias": dict(bias="float", real=True),
    "qdq_gemm_no_bias": dict(bias=False, real=True),
    "qdq_gemm_relu": dict(between="Relu"),
    "qdq_gemm_s4_weights": dict(w_type=INT4, axis=0),
})  # fmt: skip
def gemm(network, a_type=UINT8, w_type=INT8, y_type=UINT8, axis=None, turned=True, bias=True, between=None, real=False):
    four_or_sixteen(network, w_type)
    network.input("a", network.reals(4, 20))
    names = [network.quantized("a", a_type)]
    names.append(network.weights("w", network.reals(*(7, 20) if turned else (20, 7)), w_type, axis))
    if bias == "float":
        names.append(network.constant("b", network.reals(7, spread=0.3)))
    elif bias:
        names.append(network.bias("b", network.reals(7, spread=3), "a_scale", "w_scale"))
    y = network.add("Gemm", *names, **({"transB": 1} if turned else {}))
    return finish(network, network.add(between, y) if between else y, y_type, real)


@cases({
    "qdq_matmul_u8": dict(),
    "qdq_matmul_s8_per_column": dict(a_type=INT8, y_type=INT8, axis=1),
    "qdq_matmul_3d": dict(a=(2, 3, 16)),
    "qdq_matmul_float_output": dict(open_end=True),
    "qdq_matmul_s4_weights": dict(w_type=INT4),
    "qdq_matmul_s4_weights_per_column": dict(w_type=INT4, axis=1),
    "qdq_matmul_u16_activations": dict(a_type=UINT16, y_type=UINT16),
    "qdq_matmul_s16_activations": dict(a_type=INT16, y_type=INT16, axis=1),
})  # fmt: skip
def matmul(network, a=(4, 16), a_type=UINT8, w_type=INT8, y_type=UINT8, axis=None, open_end=False):
    four_or_sixteen(network, a_type, w_type)
    network.input("a", network.reals(*a))
    left = network.quantized("a", a_type)
    y = network.add("MatMul", left, network.weights("w", network.reals(16, 8), w_type, axis))
    if open_end:
        return network.output(network.add("Identity", y, to="y"))
    return finish(network, y, y_type)


@cases({
    "qdq_twice_nested": dict(scales=(0.05, 0.02), zeros=(120, 130)),
    "qdq_twice_overlapping": dict(scales=(0.02, 0.017), zeros=(60, 190)),
    "qdq_twice_s8": dict(scales=(0.02, 0.017), zeros=(-30, 40), onnx_type=INT8),
    "qdq_twice_two_types": dict(scales=(0.02, 0.017), zeros=(60, 40), second=INT8),  # both stay
    "qdq_twice_s4": dict(scales=(0.2, 0.17), zeros=(-3, 2), onnx_type=INT4),  # both stay
    "qdq_twice_other_scale": dict(scales=(0.02, 0.017), zeros=(60, 190), other=True),  # both stay
    "qdq_twice_codes": dict(scales=(0.02, 0.017), zeros=(60, 190), real=False),  # both stay
})  # fmt: skip
def twice(network, scales, zeros, onnx_type=UINT8, second=None, real=True, other=False):
    """Quantized, dequantized and at once quantized again, as rescaling is written."""
    four_or_sixteen(network, onnx_type)
    network.constant("other_scale", np.float32(0.03))
    network.input("x", network.reals(4, 64))
    x, codes = "x", None
    for name, scale, zero, of in zip("ab", scales, zeros, (onnx_type, second or onnx_type)):
        network.parameters(name, scale, zero, of)
        codes = network.add("QuantizeLinear", x, f"{name}_scale", f"{name}_zero", to=f"{name}_codes")
        if real or name == "a":
            scale = "other_scale" if other and name == "b" else f"{name}_scale"
            x = network.add("DequantizeLinear", codes, scale, f"{name}_zero")
    return network.output(x if real else codes)


@case
def qdq_matmul_two_activations(network):
    """Both operands come at run time, as in attention."""
    network.input("a", network.reals(2, 3, 8)), network.input("b", network.reals(2, 8, 5))
    left, right = network.quantized("a", UINT8), network.quantized("b", UINT8)
    return finish(network, network.add("MatMul", left, right), UINT8)


@cases({
    "qdq_rounded_conv": dict(op="Conv"),
    "qdq_rounded_conv_relu_s8": dict(op="Conv", onnx_type=INT8, between=["Relu"]),
    "qdq_rounded_conv_maxpool": dict(op="Conv", between=["Relu", "MaxPool"]),
    "qdq_rounded_conv_transpose_reshape": dict(op="Conv", onnx_type=INT8, between=["Transpose", "Reshape"], real=True),
    "qdq_rounded_conv_maxpool_opset11": dict(op="Conv", between=["MaxPool"], opset=11),  # MaxPool stops it, too
    "qdq_rounded_conv_one_weight": dict(op="Conv", real_weights="one"),
    "qdq_rounded_conv_zero_weights": dict(op="Conv", real_weights="zero"),
    "qdq_rounded_conv_pad": dict(op="Conv", padded=True),
    "qdq_rounded_conv_flatten": dict(op="Conv", between=["Flatten"]),  # Flatten stops it
    "qdq_rounded_conv_float_weights": dict(op="Conv", real_weights=True),
    "qdq_rounded_conv_u16": dict(op="Conv", onnx_type=UINT16),
    "qdq_rounded_convtranspose": dict(op="ConvTranspose"),
    "qdq_rounded_convtranspose_float_weights": dict(op="ConvTranspose", real_weights=True),
    "qdq_rounded_gemm": dict(op="Gemm"),
    "qdq_rounded_gemm_float_weights": dict(op="Gemm", real_weights=True),
    "qdq_rounded_gemm_row": dict(op="Gemm", real_weights=True, bias_shape=(1, 5)),  # a matrix stops it
    "qdq_rounded_matmul_add": dict(op="MatMul"),
    "qdq_rounded_matmul_add_float_weights": dict(op="MatMul", real_weights=True),
})  # fmt: skip
def rounded(network, op, onnx_type=UINT8, between=(), real=False, real_weights=False, bias_shape=None, opset=None,
            padded=False, **attributes):  # fmt: skip
    """Real biases, at so coarse a scale that their rounding to integers shows, and real weights. The ifmap is mostly 0."""
    four_or_sixteen(network, onnx_type)
    network.opset = opset or network.opset
    shape, w = ((2, 3, 6, 6), (4, 3, 3, 3)) if op == "Conv" else ((4, 8), (8, 5))
    if op == "ConvTranspose":
        shape, w = (2, 3, 4, 4), (3, 4, 2, 2)
    network.input("x", network.reals(*shape, spread=20) * (network.random.random(shape) < 0.05))
    x = network.quantized("x", onnx_type)
    if padded:
        x = network.add("Pad", x, network.constant("pads", np.int64([0, 0, 1, 1, 0, 0, 1, 1])))
    reals = network.reals(*w, spread=20)
    if real_weights == "one":
        reals[:] = 0.7
    elif real_weights == "zero":
        reals[:] = 0
    weight = network.constant("w", reals) if real_weights else network.weights("w", reals)
    channels = {"Conv": w[0], "ConvTranspose": w[1]}.get(op, w[1])
    bias = network.constant("b", network.reals(*(bias_shape or (channels,))))
    if op == "MatMul":
        y = network.add("Add", network.add("MatMul", x, weight), bias)
    else:
        y = network.add(op, x, weight, bias, **attributes)
    more = {"MaxPool": {"kernel_shape": [2, 2]}, "Transpose": {"perm": [0, 2, 3, 1]}}
    for step in between:
        inputs = [y, network.constant("shape", np.int64([2, -1]))] if step == "Reshape" else [y]
        y = network.add(step, *inputs, **more.get(step, {}))
    return finish(network, y, onnx_type, real, keep=0.01)


@cases({
    "qdq_add_u8": dict(op="Add"),
    "qdq_add_u8_ties": dict(op="Add", zeros=(121, 97, 131), power_of_two=True),
    "qdq_add_s8_ties": dict(op="Add", onnx_type=INT8, zeros=(5, -11, 3), power_of_two=True),
    "qdq_add_s8_real_ties": dict(op="Add", onnx_type=INT8, zeros=(5, -11, 3), power_of_two=True, real=True),
    "qdq_add_s8_transposed_ties": dict(op="Add", onnx_type=INT8, zeros=(5, -11, 3), power_of_two=True, real=True,
                                       moved="Transpose"),
    "qdq_add_s8_after_maxpool_ties": dict(op="Add", onnx_type=INT8, zeros=(5, -11, 3), power_of_two=True, real=True,
                                          moved="MaxPool"),
    "qdq_add_s8_maxpool_ties": dict(op="Add", onnx_type=INT8, zeros=(5, -11, 3), power_of_two=True, pool=True),
    "qdq_add_s8_maxpool_real_ties": dict(op="Add", onnx_type=INT8, zeros=(5, -11, 3), power_of_two=True, pool=True,
                                         real=True),
    "qdq_add_relu": dict(op="Add", between="Relu"),
    "qdq_add_broadcast": dict(op="Add", b=(1, 4, 1, 1)),
    "qdq_mul_s8": dict(op="Mul", onnx_type=INT8),
    "qdq_mul_s8_real_ties": dict(op="Mul", onnx_type=INT8, zeros=(5, -11, 3), power_of_two=True, real=True),
    "qdq_mul_u8_broadcast": dict(op="Mul", b=(1, 4, 1, 1)),
})  # fmt: skip
def binary(network, op, b=(1, 4, 6, 6), onnx_type=UINT8, between=None, power_of_two=False, zeros=None, real=False,
           pool=False, moved=None):  # fmt: skip
    if zeros is None:
        network.input("a", network.reals(1, 4, 6, 6)), network.input("b", network.reals(*b, spread=0.7))
        left, right = network.quantized("a", onnx_type), network.quantized("b", onnx_type)
        y = network.add(op, left, right)
        return finish(network, network.add(between, y) if between else y, onnx_type, real)
    parts = []  # odd zero points and scales of powers of two: many ties
    for name, scale, zero in zip("ab", (2.0**-5, 2.0**-6), zeros):
        codes = np.int64(network.codes(onnx_type, *b)) - zero
        network.input(name, np.float32(codes * scale))
        network.parameters(name, scale, zero, onnx_type)
        codes = network.add("QuantizeLinear", name, f"{name}_scale", f"{name}_zero")
        part = network.add("DequantizeLinear", codes, f"{name}_scale", f"{name}_zero")
        if moved:
            how = {"Transpose": {"perm": [0, 2, 1, 3]}, "MaxPool": {"kernel_shape": [1, 1]}}[moved]
            part = network.add(moved, part, **how)
        parts.append(part)
    y = network.add(op, *parts)
    if pool:
        y = network.add("MaxPool", y, kernel_shape=[2, 2])
    network.parameters("y", 2.0**-4, zeros[2], onnx_type)
    codes = network.add("QuantizeLinear", y, "y_scale", "y_zero", to="y_codes" if real else "y")
    return network.output(network.add("DequantizeLinear", codes, "y_scale", "y_zero", to="y") if real else codes)


@cases({
    "qdq_averagepool_u8": dict(op="AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "qdq_averagepool_s8_pads": dict(op="AveragePool", onnx_type=INT8, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "qdq_averagepool_same_scale": dict(op="AveragePool", same=True, kernel_shape=[2, 2], strides=[2, 2]),
    "qdq_averagepool_s8_real": dict(op="AveragePool", onnx_type=INT8, real=True, kernel_shape=[2, 2], strides=[2, 2]),
    "qdq_globalaveragepool_u8": dict(op="GlobalAveragePool"),
    "qdq_globalaveragepool_s8": dict(op="GlobalAveragePool", onnx_type=INT8),
    "qdq_maxpool_u8": dict(op="MaxPool", same=True, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    "qdq_maxpool_s8_ceil_mode": dict(op="MaxPool", same=True, onnx_type=INT8, kernel_shape=[3, 3], strides=[2, 2],
                                     ceil_mode=1),
    "qdq_leakyrelu_s8": dict(op="LeakyRelu", onnx_type=INT8, alpha=0.1),
    "qdq_leakyrelu_u8": dict(op="LeakyRelu", alpha=0.2),
    "qdq_relu_u8": dict(op="Relu"),
    "qdq_clip_s8": dict(op="Clip", onnx_type=INT8),
    "qdq_sigmoid_u8": dict(op="Sigmoid"),
    "qdq_softmax_u8": dict(op="Softmax", axis=1),
    "qdq_transpose_u8": dict(op="Transpose", same=True, perm=[0, 2, 3, 1]),
    "qdq_flatten_s8": dict(op="Flatten", same=True, onnx_type=INT8),
})  # fmt: skip
def unary(network, op, onnx_type=UINT8, same=False, real=False, **attributes):
    """`same`: the output keeps the input's quantization, as quantizers do for operators that only move codes."""
    network.input("x", network.reals(2, 4, 8, 8))
    x = network.quantized("x", onnx_type)
    bounds = {"low": -0.7, "high": 1.1} if op == "Clip" else {}
    more = [network.constant(name, np.float32(value)) for name, value in bounds.items()]
    y = network.add(op, x, *more, **attributes)
    if same:
        return network.output(network.add("QuantizeLinear", y, "x_scale", "x_zero", to="y"))
    return finish(network, y, onnx_type, real)


@cases({
    "qdq_no_zero_points_add": dict(op="Add", inputs=2),
    "qdq_no_zero_points_mul": dict(op="Mul", inputs=2),
    "qdq_no_zero_points_averagepool": dict(op="AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "qdq_no_zero_points_globalaveragepool": dict(op="GlobalAveragePool"),
    "qdq_no_zero_points_concat": dict(op="Concat", inputs=2, axis=1),
    "qdq_no_zero_points_transpose": dict(op="Transpose", perm=[0, 2, 3, 1]),
    "qdq_no_zero_points_conv": dict(op="Conv"),
})  # fmt: skip
def no_zero_points(network, op, inputs=1, **attributes):
    """Zero points are left out: they are 0 of the codes' type, uint8 after a QuantizeLinear. Sums have many ties."""
    parts = []
    for name, scale in [("a", 2.0**-5), ("b", 2.0**-6)][:inputs]:
        network.input(name, np.float32(np.int64(network.codes(UINT8, 2, 4, 6, 6)) * scale))
        network.constant(f"{name}_scale", np.float32(scale))
        codes = network.add("QuantizeLinear", name, f"{name}_scale")
        parts.append(network.add("DequantizeLinear", codes, f"{name}_scale"))
    if op == "Conv":
        network.constant("w", network.codes(INT8, 3, 4, 3, 3))
        network.constant("w_scale", np.float32(2.0**-9))
        parts.append(network.add("DequantizeLinear", "w", "w_scale"))
    y = network.add(op, *parts, **attributes)
    network.constant("y_scale", np.float32(2.0**-4))
    return network.output(network.add("QuantizeLinear", y, "y_scale", to="y"))


@case
def qdq_concat_u8(network):
    parts = []
    for name, channels, spread in (("a", 3, 1.0), ("b", 2, 0.3), ("c", 4, 2.0)):
        network.input(name, network.reals(1, channels, 5, 5, spread=spread))
        parts.append(network.quantized(name, UINT8))
    return finish(network, network.add("Concat", *parts, axis=1), UINT8)


def clipped(network, x, bits, signed):
    """QuantizeLinear, Clip, DequantizeLinear: codes of fewer than 8 bits, as Brevitas exports them."""
    onnx_type = INT8 if signed else UINT8
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    reach = float(np.abs(network.value(x)).max()) * 0.8
    dtype = np.int8 if signed else np.uint8
    network.parameters(x, reach / high, 0, onnx_type)
    codes = network.add("QuantizeLinear", x, f"{x}_scale", f"{x}_zero")
    bounds = [network.constant(f"{x}_{end}", dtype(value)) for end, value in (("low", low), ("high", high))]
    narrow = network.add("Clip", codes, *bounds, to=f"{x}_codes")
    return narrow, network.add("DequantizeLinear", narrow, f"{x}_scale", f"{x}_zero", to=f"{x}_real")


@case
def qcdq_conv_4_bits(network):
    network.input("x", network.reals(1, 3, 8, 8))
    _, x = clipped(network, "x", 4, signed=True)
    weights = network.reals(4, 3, 3, 3)
    network.constant("w", np.clip(np.rint(weights * 4), -9, 9).astype(np.int8))
    network.constant("w_scale", np.float32([0.25, 0.13, 0.2, 0.3]))
    network.constant("w_zero", np.zeros(4, np.int8))
    bounds = [network.constant("w_low", np.int8(-7)), network.constant("w_high", np.int8(7))]
    narrow = network.add("Clip", "w", *bounds)
    w = network.add("DequantizeLinear", narrow, "w_scale", "w_zero", axis=0)
    b = network.bias("b", network.reals(4), "x_scale", "w_scale")
    y = network.add("Relu", network.add("Conv", x, w, b, pads=[1, 1, 1, 1]), to="act")
    codes, real = clipped(network, y, 4, signed=False)
    return network.output(codes).output(real)


@case
def qcdq_gemm_3_bits(network):
    network.input("a", network.reals(4, 16))
    _, a = clipped(network, "a", 3, signed=True)
    w = network.weights("w", network.reals(6, 16), INT8, axis=0)
    y = network.add("Gemm", a, w, network.bias("b", network.reals(6), "a_scale", "w_scale"), transB=1, to="mm")
    codes, real = clipped(network, y, 6, signed=True)
    return network.output(codes).output(real)
