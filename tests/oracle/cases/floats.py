"""Float operators, in the forms that exporters write."""
import numpy as np
from network import case, cases


@cases({
    "float_conv_groups": dict(x=(2, 4, 7, 7), w=(6, 2, 3, 3), group=2, strides=[2, 2], pads=[1, 0, 1, 2]),
    "float_conv_same_lower": dict(x=(1, 2, 8, 8), w=(3, 2, 3, 3), auto_pad="SAME_LOWER", strides=[2, 2]),
    "float_conv_1d_dilated": dict(x=(1, 2, 20), w=(3, 2, 3), dilations=[3]),
})  # fmt: skip
def conv(network, x, w, **attributes):
    network.input("x", network.reals(*x))
    network.constant("w", network.reals(*w)), network.constant("b", network.reals(w[0]))
    return network.output(network.add("Conv", "x", "w", "b", to="y", **attributes))


@cases({
    "convtranspose_stride2": dict(w=(3, 4, 2, 2), strides=[2, 2]),
    "convtranspose_groups": dict(x=(1, 4, 5, 5), w=(4, 3, 3, 3), group=2, strides=[2, 2], pads=[1, 1, 1, 1]),
    "convtranspose_output_padding": dict(w=(3, 2, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    "convtranspose_depthwise_dilated": dict(w=(3, 1, 3, 3), group=3, dilations=[2, 1], pads=[1, 0, 0, 1]),
    "convtranspose_1d": dict(x=(2, 3, 7), w=(3, 2, 4), strides=[3]),
})  # fmt: skip
def conv_transpose(network, w, x=(1, 3, 5, 5), **attributes):
    network.input("x", network.reals(*x))
    network.constant("w", network.reals(*w))
    network.constant("b", network.reals(w[1] * attributes.get("group", 1)))
    return network.output(network.add("ConvTranspose", "x", "w", "b", to="y", **attributes))


@cases({
    "batchnormalization_2d": dict(x=(2, 4, 5, 5)),
    "batchnormalization_flat": dict(x=(6, 4), opset=9, epsilon=1e-3),
})  # fmt: skip
def batch_normalization(network, x, opset=15, **attributes):
    network.opset = opset
    network.input("x", network.reals(*x))
    network.constant("scale", network.reals(x[1])), network.constant("bias", network.reals(x[1]))
    network.constant("mean", network.reals(x[1])), network.constant("variance", np.abs(network.reals(x[1])) + 0.1)
    names = ["x", "scale", "bias", "mean", "variance"]
    return network.output(network.add("BatchNormalization", *names, to="y", **attributes))


@case
def conv_batchnormalization_relu6(network):
    """Folded by an importer; the Clip is opset 6's, with attributes."""
    network.opset = 9
    network.input("x", network.reals(1, 3, 8, 8))
    network.constant("w", network.reals(4, 3, 3, 3))
    y = network.add("Conv", "x", "w", pads=[1, 1, 1, 1])
    for name in ("scale", "bias", "mean"):
        network.constant(name, network.reals(4))
    network.constant("variance", np.abs(network.reals(4)) + 1)
    y = network.add("BatchNormalization", y, "scale", "bias", "mean", "variance")
    return network.output(network.add("Clip", y, to="y", min=0.0, max=6.0))


@cases({
    "averagepool_ceil_mode": dict(kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "averagepool_include_pad": dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "averagepool_exclude_pad": dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    "averagepool_ceil_mode_include_pad": dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1,
                                              count_include_pad=1),
    "averagepool_ceil_mode_exclude_pad": dict(kernel_shape=[2, 3], strides=[2, 3], pads=[0, 1, 1, 0], ceil_mode=1),
    "averagepool_same_upper": dict(kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    "averagepool_1d": dict(x=(2, 3, 11), kernel_shape=[4], strides=[3]),
    "maxpool_pads": dict(op="MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    "maxpool_ceil_mode_dilated": dict(op="MaxPool", kernel_shape=[2, 3], dilations=[2, 2], strides=[2, 2], ceil_mode=1),
})  # fmt: skip
def pool(network, op="AveragePool", x=(1, 2, 8, 8), **attributes):
    network.opset = 19
    network.input("x", network.reals(*x))
    return network.output(network.add(op, "x", to="y", **attributes))


@cases({
    "maxpool_codes_u8": dict(low=0, dtype=np.uint8),
    "maxpool_codes_s8": dict(low=-128, dtype=np.int8),  # the padding is -128, not 0
})  # fmt: skip
def max_pool_codes(network, low, dtype):
    network.input("x", network.random.integers(low, low + 60, (1, 3, 9, 9)).astype(dtype))
    return network.output(network.add("MaxPool", "x", to="y", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]))


@cases({
    "clip_opset10": dict(opset=10, min=-0.5, max=0.75),
    "clip_opset10_max_only": dict(opset=10, max=0.75),
    "clip_opset11": dict(opset=11, low=-0.5, high=0.75),
    "clip_opset11_min_only": dict(opset=11, low=0.0),
    "clip_opset11_max_only": dict(opset=11, high=0.75),
})  # fmt: skip
def clip(network, opset, low=None, high=None, **attributes):
    network.opset, network.ir_version = opset, 6
    network.input("x", network.reals(3, 20))
    bounds = [network.constant(name, np.float32(value)) if value is not None else ""
              for name, value in (("low", low), ("high", high))]  # fmt: skip
    while bounds and not bounds[-1]:
        bounds.pop()
    return network.output(network.add("Clip", "x", *bounds, to="y", **attributes))


@cases({
    "gemm_all_attributes": dict(a=(20, 4), b=(6, 20), c=(1, 6), transA=1, transB=1, alpha=0.7, beta=1.3),
    "gemm_column_bias": dict(a=(4, 20), b=(20, 6), c=(4, 1), beta=0.5),
    "gemm_scalar_bias": dict(a=(4, 20), b=(20, 6), c=(), alpha=2.0),
    "gemm_no_bias": dict(a=(20, 4), b=(20, 6), transA=1),
})  # fmt: skip
def gemm(network, a, b, c=None, **attributes):
    network.input("a", network.reals(*a)), network.constant("b", network.reals(*b))
    more = [] if c is None else [network.constant("c", network.reals(*c))]
    return network.output(network.add("Gemm", "a", "b", *more, to="y", **attributes))


@cases({
    "resize_nearest_asymmetric": dict(scales=[1, 1, 2, 2], coordinate_transformation_mode="asymmetric",
                                      nearest_mode="floor"),  # PyTorch's Upsample
    "resize_nearest_half_pixel": dict(scales=[1, 1, 2, 3]),
    "resize_nearest_sizes": dict(sizes=[1, 2, 7, 10], coordinate_transformation_mode="asymmetric",
                                 nearest_mode="floor"),
    "resize_nearest_down": dict(scales=[1, 1, 0.5, 0.5], coordinate_transformation_mode="asymmetric",
                                nearest_mode="floor"),
    "resize_opset10": dict(opset=10, scales=[1, 1, 2, 2]),
    "upsample_opset9": dict(opset=9, scales=[1, 1, 2, 2]),
})  # fmt: skip
def resize(network, scales=None, sizes=None, opset=13, **attributes):
    network.opset = opset
    network.input("x", network.reals(1, 2, 4, 5))
    if opset < 11:
        network.constant("scales", np.float32(scales))
        op = "Upsample" if opset == 9 else "Resize"
        return network.output(network.add(op, "x", "scales", to="y", mode="nearest"))
    if scales:
        names = ["", network.constant("scales", np.float32(scales))]
    else:
        names = ["", "", network.constant("sizes", np.int64(sizes))]
    return network.output(network.add("Resize", "x", *names, to="y", mode="nearest", **attributes))


@cases({
    "activation_hardswish": dict(op="HardSwish", opset=14),
    "activation_hardsigmoid": dict(op="HardSigmoid", alpha=1 / 6),
    "activation_sigmoid": dict(op="Sigmoid"),
    "activation_tanh": dict(op="Tanh"),
    "activation_leakyrelu": dict(op="LeakyRelu", alpha=0.1),
    "activation_softmax": dict(op="Softmax", axis=1),
    "activation_softmax_opset11": dict(op="Softmax", opset=11, axis=1),  # over all axes from 1 on
    "reducemean_axes": dict(op="ReduceMean", axes=[2, 3], keepdims=0),
})  # fmt: skip
def unary(network, op, opset=13, **attributes):
    network.opset = opset
    network.input("x", network.reals(2, 3, 4, 5, spread=3))
    return network.output(network.add(op, "x", to="y", **attributes))


@case
def shape_operators(network):
    """Pad, Slice, Gather, Split, Squeeze, Unsqueeze, Transpose, Constant nodes: values move, none changes."""
    network.input("x", network.reals(2, 6, 5, 5))
    pads = network.literal("pads", np.int64([0, 0, 1, 0, 0, 0, 2, 1]))
    y = network.add("Pad", "x", pads, network.literal("fill", np.float32(0.5)), mode="constant")
    cut = {"starts": [-1, 1], "ends": [-9, 6], "axes": [2, 3], "steps": [-2, 1]}
    y = network.add("Slice", y, *[network.literal(name, np.int64(values)) for name, values in cut.items()])
    y = network.add("Gather", y, network.literal("channels", np.int64([5, 0, 3, 1])), axis=1)
    network.add("Split", y, network.literal("sizes", np.int64([1, 3])), outputs=["one", "three"], axis=1)
    one = network.add("Squeeze", "one", network.literal("axis", np.int64([1])))
    one = network.add("Unsqueeze", one, network.literal("axis_again", np.int64([1])))
    y = network.add("Concat", "three", one, axis=1)
    return network.output(network.add("Transpose", y, to="y", perm=[0, 2, 3, 1]))


@cases({
    "pad_reflect": dict(mode="reflect"),
    "pad_edge": dict(mode="edge"),
    "pad_opset2": dict(mode="constant", opset=10),
})  # fmt: skip
def pad(network, mode, opset=13):
    network.opset = opset
    pads = [0, 0, 1, 2, 0, 0, 2, 1]
    network.input("x", network.reals(1, 2, 4, 5))
    if opset < 11:
        return network.output(network.add("Pad", "x", to="y", mode=mode, pads=pads, value=-1.5))
    return network.output(network.add("Pad", "x", network.constant("pads", np.int64(pads)), to="y", mode=mode))


@case
def external_weights(network):
    """The large constants are in weights.bin beside the model."""
    network.input("x", network.reals(1, 3, 8, 8))
    network.constant("w", network.reals(4, 3, 3, 3)), network.constant("b", network.reals(4))
    y = network.add("Relu", network.add("Conv", "x", "w", "b", pads=[1, 1, 1, 1]))
    network.constant("fc", network.reals(256, 5)), network.constant("fc_b", network.reals(5))
    network.external = ("w", "fc")
    return network.output(network.add("Gemm", network.add("Flatten", y), "fc", "fc_b", to="y"))
