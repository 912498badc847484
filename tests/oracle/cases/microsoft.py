"""com.microsoft QLinearAdd, QLinearMul, QLinearConcat, QLinearLeakyRelu and the QLinear poolings."""
import numpy as np
from network import cases
from tensors import DTYPES, INT8, UINT8


@cases({
    "qlinearadd_u8": dict(op="QLinearAdd"),
    "qlinearadd_s8": dict(op="QLinearAdd", onnx_type=INT8, zeros=(5, -11, 3)),
    "qlinearadd_ties": dict(op="QLinearAdd", power_of_two=True),  # the odd zero point decides which way
    "qlinearadd_broadcast": dict(op="QLinearAdd", a=(2, 4, 5, 5), b=(1, 4, 1, 1), onnx_type=INT8, zeros=(0, 7, -3),
                                 power_of_two=True),
    "qlinearmul_u8": dict(op="QLinearMul"),
    "qlinearmul_s8_ties": dict(op="QLinearMul", onnx_type=INT8, zeros=(5, -11, 3), power_of_two=True),
    "qlinearmul_broadcast": dict(op="QLinearMul", a=(2, 4, 5, 5), b=(2, 4, 1, 1)),  # squeeze and excite
})  # fmt: skip
def binary(network, op, a=(1, 4, 6, 6), b=(1, 4, 6, 6), onnx_type=UINT8, zeros=(121, 97, 131), power_of_two=False):
    scales = (2.0**-5, 2.0**-6, 2.0**-4) if power_of_two else (0.0213, 0.0131, 0.0297)
    if op == "QLinearMul" and not power_of_two:
        scales = (0.0213, 0.0131, 0.0291)
    for name, shape, scale, zero in zip("ab", (a, b), scales, zeros):
        network.input(name, network.codes(onnx_type, *shape))
        network.parameters(name, scale, zero, onnx_type)
    network.parameters("y", scales[2], zeros[2], onnx_type)
    names = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"]
    return network.output(network.microsoft(op, *names, to="y"))


@cases({
    "qlinearaveragepool_u8": dict(kernel_shape=[2, 2], strides=[2, 2]),
    "qlinearaveragepool_s8_pads": dict(onnx_type=INT8, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    "qlinearaveragepool_include_pad": dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "qlinearaveragepool_ceil_mode": dict(shape=(1, 3, 8, 8), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "qlinearaveragepool_same_scale_ties": dict(same=True, kernel_shape=[2, 2], strides=[2, 2]),
    # Over the whole image it is a global one: the odd zero point is added after rounding.
    "qlinearaveragepool_whole_ties": dict(shape=(8, 64, 2, 2), ties=True, kernel_shape=[2, 2]),
    "qlinearaveragepool_1d_ties": dict(shape=(8, 16, 9), ties=True, kernel_shape=[2]),
})  # fmt: skip
def average_pool(network, shape=(1, 4, 8, 8), onnx_type=UINT8, same=False, ties=False, **attributes):
    pool(network, shape, onnx_type, same, ties)
    return network.output(network.microsoft("QLinearAveragePool", *PARAMETERS, to="y", **attributes))


@cases({
    "qlinearglobalaveragepool_u8": dict(shape=(2, 8, 7, 7)),
    "qlinearglobalaveragepool_s8": dict(shape=(2, 8, 5, 6), onnx_type=INT8),
    "qlinearglobalaveragepool_same_scale": dict(shape=(2, 16, 4, 4), same=True),
})  # fmt: skip
def global_average_pool(network, shape, onnx_type=UINT8, same=False):
    pool(network, shape, onnx_type, same)
    return network.output(network.microsoft("QLinearGlobalAveragePool", *PARAMETERS, to="y", channels_last=0))


PARAMETERS = ["x", "x_scale", "x_zero", "y_scale", "y_zero"]


def pool(network, shape, onnx_type, same, ties=False):
    zero = {UINT8: 119, INT8: -7}[onnx_type]
    network.input("x", network.codes(onnx_type, *shape))
    network.parameters("x", 0.03125 if ties else 0.0217, zero, onnx_type)
    scale = 0.0625 if ties else 0.0119
    network.parameters("y", *(0.0217, zero) if same else (scale, zero + 4), onnx_type)


@cases({
    "qlinearconcat_u8": dict(shapes=[(1, 3, 4, 4), (1, 2, 4, 4), (1, 4, 4, 4)]),
    "qlinearconcat_s8_last_axis": dict(shapes=[(2, 3, 5), (2, 3, 2)], onnx_type=INT8, axis=2),
})  # fmt: skip
def concat(network, shapes, onnx_type=UINT8, axis=1):
    zero = {UINT8: 128, INT8: 0}[onnx_type]
    network.parameters("y", 0.0217, zero + 3, onnx_type)
    names = ["y_scale", "y_zero"]
    for i, shape in enumerate(shapes):  # the first has the output's own parameters
        network.input(f"x{i}", network.codes(onnx_type, *shape))
        names += [f"x{i}", *network.parameters(f"x{i}", 0.0217 * (1 + i / 3), zero + 3 - 7 * i, onnx_type)]
    return network.output(network.microsoft("QLinearConcat", *names, to="y", axis=axis))


@cases({
    "qlinearleakyrelu_u8": dict(onnx_type=UINT8, alpha=0.01, zeros=(101, 33)),
    "qlinearleakyrelu_s8": dict(onnx_type=INT8, alpha=0.1, zeros=(6, -41)),
})  # fmt: skip
def leaky_relu(network, onnx_type, alpha, zeros):
    low = {UINT8: 0, INT8: -128}[onnx_type]
    network.input("x", np.arange(low, low + 256).reshape(1, 4, 8, 8).astype(DTYPES[onnx_type]))  # every code
    network.parameters("x", 0.0217, zeros[0], onnx_type)
    network.parameters("y", 0.0131, zeros[1], onnx_type)
    return network.output(network.microsoft("QLinearLeakyRelu", *PARAMETERS, to="y", alpha=alpha))
