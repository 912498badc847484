"""QLinearMatMul, com.microsoft QGemm, MatMulInteger, ConvInteger."""
import numpy as np
from accumulators import matmul_terms
from network import case, cases
from tensors import DTYPES, FLOAT, INT8, UINT8

ZEROS = {UINT8: 121, INT8: 6}


def operands(network, a, b, a_type, b_type, bz, per_column=False, power_of_two=False, large=False):
    """Inputs and parameters of a product; its exact accumulators and their scale."""
    a_codes = network.codes(a_type, *a, low=60 if large else None)
    b_codes = network.codes(b_type, *b, low=40 if large else None)
    if large:  # columns of different size, so that the codes of the output are spread
        b_codes = (b_codes * np.arange(1, b[-1] + 1) // b[-1]).astype(b_codes.dtype)
    network.input("a", a_codes)
    network.parameters("a", 2.0**-6 if power_of_two else 0.0173, ZEROS[a_type], a_type)
    network.constant("b", b_codes)
    columns = (b[-1],) if per_column else ()
    scale = np.float32(network.random.integers(40, 99, columns) / 9000)
    network.constant("b_scale", np.float32(2.0**-7) if power_of_two else scale)
    zeros = network.random.integers(-9, 10, columns) if bz == "columns" else np.full(columns, bz)
    network.constant("b_zero", zeros.astype(DTYPES[b_type]))
    terms = matmul_terms(np.int64(a_codes) - ZEROS[a_type], np.int64(b_codes) - zeros)
    return terms.sum(0), network.constant_value("a_scale") * network.constant_value("b_scale")


@cases({
    "qlinearmatmul_plain": dict(),
    "qlinearmatmul_signed": dict(a_type=INT8, y_type=INT8, bz=-5),
    "qlinearmatmul_unsigned": dict(a=(5, 24), b=(24, 9), b_type=UINT8, bz=131),
    "qlinearmatmul_3d": dict(a=(2, 4, 16), b=(2, 16, 8), a_type=INT8, y_type=INT8),
    "qlinearmatmul_3d_broadcast": dict(a=(3, 2, 16), b=(16, 5)),
    "qlinearmatmul_per_column": dict(per_column=True),
    "qlinearmatmul_ties": dict(a=(4, 32), b=(32, 8), power_of_two=True),
    "qlinearmatmul_one_row": dict(a=(1, 70), b=(70, 3), per_column=True),
    "qlinearmatmul_huge_accumulators": dict(a=(2, 3000), b=(3000, 3), b_type=UINT8, large=True),
})  # fmt: skip
def qlinear_matmul(network, a=(4, 16), b=(16, 8), a_type=UINT8, b_type=INT8, y_type=UINT8, bz=0, **options):
    acc, scale = operands(network, a, b, a_type, b_type, bz, **options)
    keep = 1.02 if options.get("large") else 0.9
    network.fitted("y", acc * scale, y_type, keep, power_of_two=options.get("power_of_two", False))
    names = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"]
    return network.output(network.add("QLinearMatMul", *names, to="y"))


@cases({
    "qgemm_bias": dict(),
    "qgemm_no_bias": dict(bias=False),
    "qgemm_signed_per_column": dict(a_type=INT8, y_type=INT8, per_column=True),
    "qgemm_transposed": dict(turned=True, bz=4),
    "qgemm_alpha": dict(alpha=0.37),
    "qgemm_real_output": dict(real=True, per_column=True),
})  # fmt: skip
def qgemm(network, a_type=UINT8, b_type=INT8, y_type=UINT8, bz=0, bias=True, turned=False, alpha=1.0, real=False,
          **options):  # fmt: skip
    acc, scale = operands(network, (4, 16), (16, 8), a_type, b_type, bz, **options)
    initial = network.random.integers(-4000, 4001, 8).astype(np.int32)
    c = network.constant("c", initial) if bias else ""
    if turned:
        position = next(i for i, proto in enumerate(network.constants) if proto.name == "b")
        codes = network.constant_value("b").T
        network.constant("b", codes)
        network.constants[position] = network.constants.pop()
    attributes = {"alpha": alpha} | ({"transB": 1} if turned else {})
    names = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", c]
    if not real:
        network.fitted("y", (acc + (initial if bias else 0)) * scale * alpha, y_type)
        names += ["y_scale", "y_zero"]
    return network.output(network.microsoft("QGemm", *names, to="y", **attributes))


@cases({
    "matmulinteger_no_zero_points": dict(a_zero=False, b_zero=False),
    "matmulinteger_signed": dict(a_type=INT8, bz=-7),
    "matmulinteger_unsigned": dict(b_type=UINT8, bz=99),
    "matmulinteger_per_column": dict(bz="columns", per_column=True),
    "matmulinteger_3d": dict(a=(2, 3, 16), b=(2, 16, 4), b_zero=False),
})  # fmt: skip
def matmul_integer(network, a=(4, 16), b=(16, 8), a_type=UINT8, b_type=INT8, bz=0, a_zero=True, b_zero=True,
                   **options):  # fmt: skip
    operands(network, a, b, a_type, b_type, bz, **options)
    used = {"b"} | ({"a_zero"} if a_zero else set()) | ({"b_zero"} if b_zero else set())
    network.constants = [proto for proto in network.constants if proto.name in used]
    names = ["a", "b"] + (["a_zero" if a_zero else ""] if a_zero or b_zero else []) + (["b_zero"] if b_zero else [])
    return network.output(network.add("MatMulInteger", *names, to="y"))


@cases({
    "convinteger_no_zero_points": dict(dilations=[2, 1]),
    "convinteger_zero_points_pads": dict(w_type=UINT8, wz=101, pads=[1, 1, 1, 1]),
    "convinteger_groups_stride2": dict(x=(1, 4, 8, 8), w=(4, 2, 3, 3), group=2, strides=[2, 2], wz=0),
    "convinteger_same_upper": dict(wz=5, auto_pad="SAME_UPPER", strides=[2, 2]),
})  # fmt: skip
def conv_integer(network, x=(1, 3, 8, 8), w=(4, 3, 3, 3), w_type=INT8, wz=None, **attributes):
    network.input("x", network.codes(UINT8, *x))
    names = ["x", network.constant("w", network.codes(w_type, *w))]
    if wz is not None:
        names.append(network.constant("x_zero", np.uint8(77)))
        names.append(network.constant("w_zero", DTYPES[w_type](wz)))
    return network.output(network.add("ConvInteger", *names, to="y", **attributes))


@case
def dynamic_quantize_matmulinteger(network):
    """As ONNX Runtime's dynamic quantization writes a linear layer."""
    network.input("x", network.reals(4, 16))
    network.add("DynamicQuantizeLinear", "x", outputs=["codes", "scale", "zero"])
    network.constant("w", network.codes(INT8, 16, 8))
    network.constant("w_zero", np.int8(0))
    network.add("MatMulInteger", "codes", "w", "zero", "w_zero", to="acc")
    network.constant("w_scale", np.float32(0.0123))
    network.constant("b", network.reals(8))
    real = network.cast("acc", FLOAT)
    scaled = network.add("Mul", real, network.add("Mul", "scale", "w_scale"))
    return network.output(network.add("Add", scaled, "b", to="y")).output("acc")
