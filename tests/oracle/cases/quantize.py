"""QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear."""
import numpy as np
from network import case, cases
from tensors import INT4, INT8, INT16, INT32, UINT4, UINT8, UINT16, RANGES


def ties(network, scale, onnx_type, *shape):
    """Multiples of half a step, in and around the range of codes, so that half of them are ties."""
    low, high = RANGES[onnx_type]
    halves = network.random.integers(2 * low - 40, 2 * high + 40, shape)
    return np.float32(halves * np.float64(scale) / 2)


def modern(network):
    network.opset, network.ir_version = 21, 10  # 16-bit and 4-bit codes


@cases({
    "quantize_u8_ties": dict(onnx_type=UINT8, scale=0.25, zero=7),
    "quantize_s8_ties": dict(onnx_type=INT8, scale=0.5, zero=-3),
    "quantize_u8_random": dict(onnx_type=UINT8, scale=0.0217, zero=113, tie=False),
    "quantize_s8_axis1": dict(onnx_type=INT8, scale=[0.5, 0.013, 0.25], zero=[0, 5, -7], axis=1),
    "quantize_u8_last_axis": dict(onnx_type=UINT8, scale=[0.5, 0.25, 1, 2, 0.03], zero=[0, 9, 128, 255, 3], axis=-1),
    "quantize_s16_ties": dict(onnx_type=INT16, scale=0.125, zero=-11),
    "quantize_u16_ties": dict(onnx_type=UINT16, scale=0.0625, zero=1001),
})  # fmt: skip
def quantize(network, onnx_type, scale, zero, tie=True, axis=None):
    if onnx_type in (INT16, UINT16):
        modern(network)
    step = np.float32(np.reshape(scale, (-1, 1, 1)) if axis == 1 else scale)
    x = ties(network, 1, onnx_type, 2, 3, 4, 5) * step if tie else network.reals(2, 3, 4, 5, spread=2.5)
    x.reshape(-1)[:4] = [0.0, -0.0, 3e9, -3e9]
    network.input("x", x)
    network.parameters("x", scale, zero, onnx_type)
    attributes = {} if axis is None else {"axis": axis}
    return network.output(network.add("QuantizeLinear", "x", "x_scale", "x_zero", to="y", **attributes))


@case
def quantize_no_zero_point(network):
    network.input("x", ties(network, 0.5, UINT8, 3, 40))
    network.constant("scale", np.float32(0.5))
    return network.output(network.add("QuantizeLinear", "x", "scale", to="y"))


@case
def quantize_microsoft_u16(network):
    network.input("x", network.reals(3, 40, spread=3))
    network.fitted("x", network.inputs["x"], UINT16)
    return network.output(network.microsoft("QuantizeLinear", "x", "x_scale", "x_zero", to="y"))


@case
def dequantize_microsoft_s16(network):
    network.input("x", network.codes(INT16, 3, 40))
    network.parameters("x", 0.00123, -77, INT16)
    return network.output(network.microsoft("DequantizeLinear", "x", "x_scale", "x_zero", to="y"))


# 4-bit codes cannot leave the runtime as they are, so they leave dequantized.
@cases({
    "quantize_u4": dict(onnx_type=UINT4, scale=0.25, zero=5),
    "quantize_s4": dict(onnx_type=INT4, scale=0.5, zero=-1),
    "quantize_s4_axis1": dict(onnx_type=INT4, scale=[0.5, 0.3, 0.125], zero=[0, 1, -2], axis=1),
})  # fmt: skip
def quantize_4_bits(network, onnx_type, scale, zero, axis=None):
    modern(network)
    step = np.float32(np.reshape(scale, (-1, 1, 1)) if axis else scale)
    network.input("x", ties(network, 1, onnx_type, 2, 3, 4, 5) * step)
    network.parameters("x", scale, zero, onnx_type)
    attributes = {} if axis is None else {"axis": axis}
    network.add("QuantizeLinear", "x", "x_scale", "x_zero", to="codes", **attributes)
    return network.output(network.add("DequantizeLinear", "codes", "x_scale", "x_zero", to="y", **attributes))


@case
def quantize_u8_blocked(network):
    modern(network)
    network.input("x", network.reals(4, 12, spread=2))
    network.constant("scale", np.float32(network.random.integers(1, 9, (4, 3)) / 64))
    network.constant("zero", network.codes(UINT8, 4, 3))
    return network.output(network.add("QuantizeLinear", "x", "scale", "zero", to="y", axis=1, block_size=4))


@cases({
    "dequantize_u8": dict(onnx_type=UINT8, scale=0.037, zero=131),
    "dequantize_s8_axis1": dict(onnx_type=INT8, scale=[0.5, 0.013, 0.7], zero=[0, 5, -7], axis=1),
    "dequantize_u8_axis0": dict(onnx_type=UINT8, scale=[0.1, 0.003], zero=[0, 255], axis=0),
    "dequantize_s16": dict(onnx_type=INT16, scale=0.0011, zero=-321),
    "dequantize_u16": dict(onnx_type=UINT16, scale=0.0007, zero=40000),
    "dequantize_s32": dict(onnx_type=INT32, scale=0.00031, zero=None),
    "dequantize_s32_axis1": dict(onnx_type=INT32, scale=[0.5, 0.0123, 0.0007], zero=None, axis=1),
})  # fmt: skip
def dequantize(network, onnx_type, scale, zero, axis=None):
    if onnx_type in (INT16, UINT16):
        modern(network)
    limit = 2**30 if onnx_type == INT32 else None  # sums that float32 cannot hold exactly
    network.input("x", network.codes(onnx_type, 2, 3, 4, 5, low=limit and -limit, high=limit))
    network.constant("scale", np.float32(scale))
    names = ["x", "scale"]
    if zero is not None:
        names.append(network.constant("zero", np.array(zero, network.inputs["x"].dtype)))
    attributes = {} if axis is None else {"axis": axis}
    return network.output(network.add("DequantizeLinear", *names, to="y", **attributes))


@cases({
    "dequantize_s4_constant": dict(onnx_type=INT4, shape=(5, 7)),  # an odd number of codes
    "dequantize_u4_constant": dict(onnx_type=UINT4, shape=(6, 8)),
    "dequantize_s4_axis0": dict(onnx_type=INT4, shape=(4, 9), axis=0),
    "dequantize_s4_blocked": dict(onnx_type=INT4, shape=(8, 16), axis=0, block=4),
})  # fmt: skip
def dequantize_4_bits(network, onnx_type, shape, axis=None, block=None):
    """Codes in the model, since a 4-bit tensor cannot be handed to the runtime."""
    modern(network)
    network.input("x", network.reals(*shape))
    network.constant("codes", network.codes(onnx_type, *shape), onnx_type)
    per = {None: (), 0: shape[:1]}[axis] if block is None else (shape[0] // block, shape[1])
    network.constant("scale", np.float32(network.random.integers(1, 99, per) / np.float32(77)))
    network.constant("zero", network.codes(onnx_type, *per), onnx_type)
    attributes = {} if axis is None else {"axis": axis}
    attributes |= {} if block is None else {"block_size": block}
    real = network.add("DequantizeLinear", "codes", "scale", "zero", **attributes)
    return network.output(network.add("Add", "x", real, to="y"))


@cases({
    "dynamic_quantize_mixed": dict(shift=0.3),
    "dynamic_quantize_positive": dict(shift=9.0),  # the range is extended down to 0
    "dynamic_quantize_negative": dict(shift=-9.0),
})  # fmt: skip
def dynamic_quantize(network, shift):
    network.input("x", network.reals(5, 24) + np.float32(shift))
    network.add("DynamicQuantizeLinear", "x", outputs=["codes", "scale", "zero"])
    return network.output("codes").output("scale").output("zero")
