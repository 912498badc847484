"""Operators of float networks in numpy, in whatever precision their inputs have."""
import numpy as np
from accumulators import conv_terms, windows


def spatial(attributes, x, kernel):
    """strides, pads (with auto_pad resolved) and dilations of a window operator."""
    rank = len(kernel)
    strides = attributes.get("strides", [1] * rank)
    dilations = attributes.get("dilations", [1] * rank)
    pads = attributes.get("pads", [0] * (2 * rank))
    auto_pad = attributes.get("auto_pad", "NOTSET")
    if auto_pad.startswith("SAME"):
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
        size = x.shape[2:]
        total = [max(0, (-(-n // s) - 1) * s + r - n) for n, s, r in zip(size, strides, reach)]
        less, more = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = less + more if auto_pad == "SAME_UPPER" else more + less
    elif auto_pad == "VALID":
        pads = [0] * (2 * rank)
    return strides, pads, dilations


def conv(x, w, bias, group, strides, pads, dilations):
    y = conv_terms(x, w, group, strides, pads, dilations).sum(0)
    return y if bias is None else y + bias.reshape(1, -1, *[1] * (y.ndim - 2))


def conv_transpose(x, w, bias, attributes):
    """w[C, M/group, kernel...]; every ifmap element adds its weights to a window of the ofmap."""
    kernel, group = w.shape[2:], attributes.get("group", 1)
    strides, pads, dilations = spatial(attributes, x, kernel)
    rank = len(kernel)
    extra = attributes.get("output_padding", [0] * rank)
    full = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(x.shape[2:], strides, kernel, dilations)]
    channels = w.shape[1] * group
    y = np.zeros([x.shape[0], channels] + [f + e for f, e in zip(full, extra)], x.dtype)
    xg = x.reshape(x.shape[0], group, -1, *x.shape[2:])
    wg = w.reshape(group, -1, *w.shape[1:])
    for tap in np.ndindex(*kernel):
        part = np.einsum("ngc...,gcm->ngm...", xg, wg[(...,) + tap])
        to = tuple(slice(t * d, t * d + (n - 1) * s + 1, s)
                   for t, d, n, s in zip(tap, dilations, x.shape[2:], strides))  # fmt: skip
        y[(slice(None), slice(None)) + to] += part.reshape(x.shape[0], channels, *x.shape[2:])
    keep = tuple(slice(pads[i], y.shape[2 + i] - pads[rank + i]) for i in range(rank))
    y = y[(slice(None), slice(None)) + keep]
    return y if bias is None else y + bias.reshape(1, -1, *[1] * rank)


def pool_windows(x, attributes, fill):
    """(windows, whether a tap is a real element, taps inside the padded ifmap) of a pooling operator."""
    kernel = attributes["kernel_shape"]
    rank = len(kernel)
    strides, pads, dilations = spatial(attributes, x, kernel)
    more = list(pads)
    if attributes.get("ceil_mode", 0):
        for i in range(rank):
            reach = (kernel[i] - 1) * dilations[i] + 1
            padded = x.shape[2 + i] + pads[i] + pads[rank + i]
            outputs = -(-(padded - reach) // strides[i]) + 1
            if (outputs - 1) * strides[i] >= x.shape[2 + i] + pads[i]:
                outputs -= 1  # a window that starts in the padding at the end is left out
            more[rank + i] += max(0, (outputs - 1) * strides[i] + reach - padded)
    ones = np.ones((1, 1) + x.shape[2:], np.int64)
    declared = np.pad(ones, [(0, 0), (0, 0)] + [(pads[i], pads[rank + i]) for i in range(rank)],
                      constant_values=1)  # fmt: skip
    beyond = [0] * rank + [more[rank + i] - pads[rank + i] for i in range(rank)]
    return (windows(x, kernel, strides, more, dilations, fill),
            windows(ones, kernel, strides, more, dilations),
            windows(declared, kernel, strides, beyond, dilations))  # fmt: skip


def max_pool(x, attributes):
    lowest = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
    taps, _, _ = pool_windows(x, attributes, lowest)
    return taps.max(tuple(range(2, 2 + len(attributes["kernel_shape"]))))


def average_pool(x, attributes):
    """Sums row-major over the window, one addition after another, then divides by the count."""
    taps, real, padded = pool_windows(x, attributes, 0)
    rank = len(attributes["kernel_shape"])
    counted = padded if attributes.get("count_include_pad", 0) else real
    total = np.zeros(taps.shape[:2] + taps.shape[2 + rank :], x.dtype)
    for tap in np.ndindex(*attributes["kernel_shape"]):
        total = total + taps[(slice(None), slice(None)) + tap]
    return total / counted.sum(tuple(range(2, 2 + rank))).astype(x.dtype)


def over_all(x, attributes):
    """Whether a window covers the whole image without pads: ONNX Runtime takes such an integer pool as a global one."""
    return list(attributes["kernel_shape"]) == list(x.shape[2:]) and not any(attributes.get("pads", []))


def resize_nearest(x, attributes, scales, sizes):
    y = x
    for axis, length in enumerate(x.shape):
        size = int(sizes[axis]) if sizes is not None else int(np.floor(length * np.float32(scales[axis])))
        scale = np.float32(size / length) if sizes is not None else np.float32(scales[axis])
        if size == length:
            continue
        at = np.arange(size, dtype=np.float32)
        mode = attributes.get("coordinate_transformation_mode", "half_pixel")
        at = {"asymmetric": at / scale, "half_pixel": (at + np.float32(0.5)) / scale - np.float32(0.5)}[mode]
        nearest = attributes.get("nearest_mode", "round_prefer_floor")
        at = {"floor": np.floor(at), "ceil": np.ceil(at), "round_prefer_floor": np.ceil(at - np.float32(0.5))}[nearest]
        y = np.take(y, np.clip(at.astype(np.int64), 0, length - 1), axis=axis)
    return y


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)
