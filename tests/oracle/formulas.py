"""The arithmetic of quantized operators, in two manners.

`real` is np.float32 for ONNX Runtime's own formula, where every operation rounds to float32 (what a bit-exact
importer has to compute), or np.longdouble for the ideal one: a single rounding, half to even, before the zero
point is added. Codes come in any integer type and leave as the ONNX type asked for.
"""
import numpy as np
from tensors import DTYPES, RANGES


def saturate(values, onnx_type):
    low, high = RANGES[onnx_type]
    return np.clip(values, low, high).astype(DTYPES[onnx_type])


def along(parameter, rank, axis):
    """A scale or zero point of a tensor, or per index of `axis`, broadcastable to a tensor of `rank`."""
    parameter = np.asarray(parameter)
    if parameter.size == 1:
        return parameter.reshape(())
    shape = [1] * rank
    shape[axis] = parameter.size
    return parameter.reshape(shape)


def quantize(x, scale, zero, onnx_type, real):
    """sat(rint(x / scale) + zero)."""
    return saturate(np.rint(real(x) / real(scale)) + real(zero), onnx_type)


def dequantize(codes, scale, zero, real):
    """(codes - zero) * scale."""
    return real(np.int64(codes) - np.int64(zero)) * real(scale)


def requantize(acc, x_scale, w_scale, y_scale, y_zero, onnx_type, real, alpha=1):
    """sat(rint(acc * (alpha * x_scale * w_scale / y_scale)) + y_zero)."""
    multiplier = real(alpha) * real(x_scale) * real(w_scale) / real(y_scale)
    return saturate(np.rint(real(acc) * multiplier) + real(y_zero), onnx_type)


def add(a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, onnx_type, real):
    """com.microsoft QLinearAdd."""
    if real is np.longdouble:
        total = dequantize(a, a_scale, a_zero, real) + dequantize(b, b_scale, b_zero, real)
        return quantize(total, y_scale, y_zero, onnx_type, real)
    # The zero points are in a constant, added before the rounding by two fused multiply-adds.
    a_ratio, b_ratio = real(a_scale) / real(y_scale), real(b_scale) / real(y_scale)
    constant = real(y_zero) - (a_ratio * real(a_zero) + b_ratio * real(b_zero))

    def fma(x, y, z):  # the product is exact in 64 bits of mantissa, and so is all but never the sum
        return real(np.longdouble(x) * np.longdouble(y) + np.longdouble(z))

    return saturate(np.rint(fma(real(a), a_ratio, fma(real(b), b_ratio, constant))), onnx_type)


def multiply(a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, onnx_type, real):
    """com.microsoft QLinearMul: the zero point is added before the rounding."""
    product = (np.int64(a) - np.int64(a_zero)) * (np.int64(b) - np.int64(b_zero))
    scaled = real(product) * (real(a_scale) * real(b_scale) / real(y_scale))
    if real is np.longdouble:
        return saturate(np.rint(scaled) + real(y_zero), onnx_type)
    return saturate(np.rint(scaled + real(y_zero)), onnx_type)


def average(mean, y_scale, y_zero, onnx_type, real):
    """com.microsoft QLinearAveragePool, from the mean of dequantized elements."""
    if real is np.longdouble:
        return quantize(mean, y_scale, y_zero, onnx_type, real)
    return saturate(np.rint(real(mean) / real(y_scale) + real(y_zero)), onnx_type)


def global_average(total, count, x_scale, y_scale, y_zero, onnx_type, real):
    """com.microsoft QLinearGlobalAveragePool, from the integer sum of x - x_zero over `count` elements."""
    multiplier = real(x_scale) / (real(y_scale) * real(count))
    return saturate(np.rint(real(total) * multiplier) + real(y_zero), onnx_type)


def dynamic_quantize(x, real):
    """DynamicQuantizeLinear: codes, scale, zero point; the range always includes 0."""
    low, high = real(min(0, x.min())), real(max(0, x.max()))
    scale = (high - low) / real(255)
    zero = saturate(np.rint(real(0) - low / scale), 2)
    return quantize(x, scale, zero, 2, real), scale, zero


def softmax(codes, axis, x_scale, y_scale, y_zero, onnx_type, real):
    """com.microsoft QLinearSoftmax: powers of e as float32, scaled so that their sum cannot overflow."""
    x = (codes - codes.max(axis, keepdims=True)) * np.float64(x_scale)
    if real is np.longdouble:
        e = np.exp(np.longdouble(x))
        return quantize(e / e.sum(axis, keepdims=True), y_scale, y_zero, onnx_type, real)
    lift = max(0.0, np.log(np.float64(np.finfo(real).max / real(codes.shape[axis]))) - 5)
    e = real(np.exp(x + lift))
    total = real(0)
    for part in np.moveaxis(e, axis, 0):  # one after another
        total = total + part
    steps = np.floor(real(1) / real(y_scale))  # not 1 / y_scale: the scale is taken for one over an integer
    return saturate(np.rint(e * steps / np.expand_dims(total, axis)) + real(y_zero), onnx_type)
