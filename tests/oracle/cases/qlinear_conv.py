"""QLinearConv."""
import numpy as np
from accumulators import conv_terms
from float_operators import spatial
from network import case, cases
from tensors import INT8, UINT8


@cases({
    "qlinearconv_plain": dict(),
    "qlinearconv_no_bias": dict(bias=False),
    "qlinearconv_1x1": dict(x=(1, 64, 5, 5), w=(4, 64, 1, 1)),
    "qlinearconv_signed": dict(x_type=INT8, y_type=INT8, pads=[1, 1, 1, 1]),
    "qlinearconv_unsigned_weights": dict(w_type=UINT8, wz=117, pads=[1, 1, 1, 1]),
    "qlinearconv_weight_zero_point": dict(x_type=INT8, y_type=INT8, wz=-9, pads=[1, 1, 1, 1]),
    "qlinearconv_groups": dict(x=(1, 8, 6, 6), w=(8, 2, 3, 3), group=4, per_channel=True),
    "qlinearconv_depthwise": dict(x=(1, 6, 8, 8), w=(6, 1, 3, 3), group=6, per_channel=True, pads=[1, 1, 1, 1]),
    "qlinearconv_depthwise_multiplier2": dict(x=(1, 4, 7, 7), w=(8, 1, 3, 3), group=4, pads=[1, 1, 1, 1]),
    "qlinearconv_depthwise_5x5_stride2": dict(x=(1, 4, 9, 9), w=(4, 1, 5, 5), group=4, x_type=INT8, y_type=INT8,
                                              per_channel=True, pads=[2, 2, 2, 2], strides=[2, 2]),
    "qlinearconv_dilated": dict(x=(1, 3, 10, 10), dilations=[2, 3], pads=[2, 2, 2, 2]),
    "qlinearconv_asymmetric_pads": dict(x_type=INT8, y_type=INT8, per_channel=True, pads=[1, 0, 2, 1]),
    "qlinearconv_same_upper": dict(x=(1, 3, 8, 8), auto_pad="SAME_UPPER", strides=[2, 2]),
    "qlinearconv_same_lower": dict(x=(1, 3, 8, 9), auto_pad="SAME_LOWER", strides=[2, 2], x_type=INT8, y_type=INT8),
    "qlinearconv_valid": dict(auto_pad="VALID", strides=[2, 1]),
    "qlinearconv_strides": dict(x=(1, 3, 9, 12), w=(4, 3, 1, 5), pads=[0, 2, 0, 2], strides=[1, 2]),
    "qlinearconv_7x7_stride2": dict(x=(1, 3, 14, 14), w=(4, 3, 7, 7), pads=[3, 3, 3, 3], strides=[2, 2],
                                    per_channel=True),
    "qlinearconv_1d": dict(x=(2, 3, 20), w=(4, 3, 5), pads=[2, 2], strides=[2]),
    "qlinearconv_batch3": dict(x=(3, 3, 6, 6), per_channel=True),
    "qlinearconv_ties": dict(x_type=INT8, y_type=INT8, power_of_two=True, pads=[1, 1, 1, 1], yz=3),
    "qlinearconv_relu": dict(y_type=UINT8, yz=0, pads=[1, 1, 1, 1]),
    "qlinearconv_mixed_out": dict(x_type=UINT8, y_type=UINT8, w_type=INT8, xz=0, pads=[2, 2, 2, 2]),
    # sums beyond 2^24, which float32 rounds before it scales them
    "qlinearconv_huge_accumulators": dict(x=(1, 256, 4, 4), w=(3, 256, 3, 3), large=True),
    "qlinearconv_huge_unsigned": dict(x=(1, 160, 4, 4), w=(4, 160, 3, 3), w_type=UINT8, wz=3, xz=2, large=True,
                                      per_channel=True),
})  # fmt: skip
def qlinear_conv(network, x=(1, 3, 8, 8), w=(4, 3, 3, 3), x_type=UINT8, w_type=INT8, y_type=UINT8, xz=None, wz=0,
                 yz=None, bias=True, per_channel=False, power_of_two=False, large=False, **attributes):
    x_codes = network.codes(x_type, *x, low=100 if large else None)
    w_codes = network.codes(w_type, *w, low=40 if large else None)
    if large:  # channels of different size, so that the codes of the ofmap are spread
        w_codes = (w_codes * np.arange(1, w[0] + 1).reshape(-1, 1, 1, 1) // w[0]).astype(w_codes.dtype)
    network.input("x", x_codes)
    xz = {UINT8: 121, INT8: 6}[x_type] if xz is None else xz
    network.parameters("x", 2.0**-5 if power_of_two else 0.0217, xz, x_type)
    network.constant("w", w_codes)
    channels = w[:1] if per_channel else ()
    steps = np.float32(network.random.integers(40, 99, channels) / 9000)
    network.constant("w_scale", np.float32(2.0**-7) if power_of_two else steps)
    network.constant("w_zero", np.full(channels, wz, w_codes.dtype))
    initial = network.random.integers(-3000, 3001, w[0]).astype(np.int32) if bias else np.zeros(w[0], np.int32)

    terms = conv_terms(np.int64(x_codes) - xz, np.int64(w_codes) - wz, attributes.get("group", 1),
                       *spatial(attributes, x_codes, w[2:]))  # fmt: skip
    column = (1, -1) + (1,) * (len(x) - 2)
    acc = terms.sum(0) + initial.reshape(column)
    scale = network.constant_value("x_scale") * network.constant_value("w_scale").reshape(column if per_channel else ())
    network.fitted("y", acc * scale, y_type, 1.02 if large else 0.9, power_of_two=power_of_two)
    if yz is not None:
        network.constants.pop()
        network.constant("y_zero", np.array(yz, {UINT8: np.uint8, INT8: np.int8}[y_type]))
    more = [network.constant("b", initial)] if bias else []
    names = ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero"]
    return network.output(network.add("QLinearConv", *names, *more, to="y", **attributes))


@case
def qlinearconv_beyond_float32(network):
    """Accumulators a little off a tie, beyond 2^24: in float32 they are on it, and round to even."""
    codes = np.array([60, -3, 97, 101, -118, 120, -127, 126])  # the ofmap's, and the half that follows
    acc = np.int32((codes * 2 + 1) * 2**18 + np.array([1, -1, 1, -1, 1, 3, -1, -2]))
    network.input("x", np.int8([[[[5, 5], [6, 4]]]]))  # x - x_zero is 0, 0, 1, -1
    network.parameters("x", 2.0**-9, 5, INT8)
    network.constant("w", np.int8(np.arange(1, 9)).reshape(8, 1, 1, 1) % 3)
    network.parameters("w", 2.0**-10, 0, INT8)
    network.parameters("y", 1.0, 0, INT8)
    network.constant("b", acc)
    names = ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", "b"]
    return network.output(network.add("QLinearConv", *names, to="y"))
