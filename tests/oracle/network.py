"""Builds one golden's ONNX model: seeded constants, quantization parameters that fit its data, its inputs."""
import zlib

import numpy as np
from float_interpreter import execute
from onnx import TensorProto, helper
from tensors import DTYPES, INT8, RANGES, to_proto, type_of

CASES = {}  # name -> function that returns a Network


def case(function):
    """A golden of the function's name."""
    CASES[function.__name__] = lambda: function(Network(function.__name__))
    return function


def cases(table):
    """A golden of every name in `table`, whose function gets the table's options."""

    def register(function):
        for name, options in table.items():
            CASES[name] = lambda name=name, options=options: function(Network(name), **options)
        return function

    return register


class Network:
    def __init__(self, name):
        self.name, self.opset, self.ir_version = name, 13, 8
        self.nodes, self.constants, self.inputs, self.outputs = [], [], {}, []
        self.types, self.shapes = {}, {}
        self.simulate = True  # narrow accumulators in meta.json, for a single layer
        self.external = ()  # constants that are kept in a file beside the model
        self.random = np.random.default_rng(zlib.crc32(name.encode()))

    # ---- data ----

    def reals(self, *shape, spread=1.0):
        """Bell-shaped around 0, nearly all within +-2 spread; made without libm, so alike everywhere."""
        return np.float32((self.random.random((4, *shape)).sum(0) - 2) * 1.7 * spread)

    def codes(self, onnx_type, *shape, low=None, high=None):
        ends = RANGES[onnx_type]
        low, high = ends[0] if low is None else low, ends[1] if high is None else high
        return self.random.integers(low, high + 1, shape).astype(DTYPES[onnx_type])

    # ---- graph ----

    def input(self, name, array, onnx_type=None, shape=None):
        self.inputs[name] = np.asarray(array)
        self.types[name] = onnx_type or type_of(self.inputs[name])
        self.shapes[name] = shape or self.inputs[name].shape
        return name

    def constant(self, name, array, onnx_type=None):
        self.constants.append(to_proto(name, np.asarray(array), onnx_type))
        return name

    def add(self, op, *inputs, to="", domain="", outputs=None, **attributes):
        """Appends a node and returns the name of its output."""
        name = f"{op}_{len(self.nodes)}"
        outputs = outputs or [to or f"{name}_out"]
        self.nodes.append(helper.make_node(op, inputs, outputs, name, domain=domain, **attributes))
        return outputs[0]

    def microsoft(self, op, *inputs, **options):
        return self.add(op, *inputs, domain="com.microsoft", **options)

    def literal(self, name, array):
        """A constant as a Constant node, as PyTorch writes them."""
        return self.add("Constant", to=name, value=to_proto("", array))

    def cast(self, x, onnx_type):
        node = helper.make_node("Cast", [x], [f"{x}_cast"], f"Cast_{len(self.nodes)}", to=onnx_type)
        self.nodes.append(node)
        return f"{x}_cast"

    def output(self, name, shape=None):
        self.outputs.append((name, shape))
        return self

    def value(self, name):
        """What `name` is on the inputs, computed without rounding."""
        return execute(self.model(typed=False), self.inputs, np.longdouble).values[name]

    # ---- quantization ----

    def quantizer(self, prefix, low, high, onnx_type, symmetric=False, power_of_two=False):
        """Constants <prefix>_scale and <prefix>_zero for reals of low..high; their names."""
        q_min, q_max = RANGES[onnx_type]
        low, high = min(0, float(low)), max(0, float(high))
        if symmetric:
            low, high = -max(-low, high), max(-low, high)
        scale = (high - low) / (q_max - q_min) or 1.0
        if power_of_two:
            scale = 2.0 ** np.ceil(np.log2(scale))
        zero = 0 if symmetric and q_min < 0 else int(np.clip(np.rint(q_min - low / scale), q_min, q_max))
        return self.parameters(prefix, scale, zero, onnx_type)

    def parameters(self, prefix, scale, zero, onnx_type):
        return (self.constant(f"{prefix}_scale", np.float32(scale)),
                self.constant(f"{prefix}_zero", DTYPES[onnx_type](zero), onnx_type))  # fmt: skip

    def fitted(self, prefix, values, onnx_type, keep=0.9, **options):
        """A quantizer for `keep` of the range of `values`: some saturate."""
        return self.quantizer(prefix, values.min() * keep, values.max() * keep, onnx_type, **options)

    def quantize(self, x, onnx_type, to="", keep=0.9, **options):
        """QuantizeLinear of x; (codes, scale, zero)."""
        scale, zero = self.fitted(to or x, self.value(x), onnx_type, keep, **options)
        return self.add("QuantizeLinear", x, scale, zero, to=to or f"{x}_codes"), scale, zero

    def quantized(self, x, onnx_type, **options):
        """QuantizeLinear and DequantizeLinear after x."""
        codes, scale, zero = self.quantize(x, onnx_type, **options)
        return self.add("DequantizeLinear", codes, scale, zero, to=f"{x}_real")

    def weights(self, name, reals, onnx_type=INT8, axis=None, narrow=False):
        """A constant of symmetric codes and its DequantizeLinear; per index of `axis` when given."""
        others = tuple(a for a in range(reals.ndim) if a != axis)
        reach = np.abs(reals).max() if axis is None else np.abs(reals).max(others, keepdims=True)
        limit = RANGES[onnx_type][1]
        scale = np.float32(reach / limit)
        codes = np.clip(np.rint(reals / scale), -limit if narrow else -limit - 1, limit)
        self.constant(name, codes.astype(DTYPES[onnx_type]), onnx_type)
        scale = scale.reshape(-1) if axis is not None else scale
        self.constant(f"{name}_scale", scale)
        self.constant(f"{name}_zero", np.zeros(scale.shape, DTYPES[onnx_type]), onnx_type)
        attributes = {} if axis is None else {"axis": axis}
        return self.add("DequantizeLinear", name, f"{name}_scale", f"{name}_zero", to=f"{name}_real", **attributes)

    def bias(self, name, reals, x_scale, w_scale):
        """int32 codes at the accumulator's scale and their DequantizeLinear."""
        scale = np.float32(self.constant_value(x_scale) * self.constant_value(w_scale))
        self.constant(name, np.rint(reals / scale).astype(np.int32))
        self.constant(f"{name}_scale", scale)
        self.constant(f"{name}_zero", np.zeros(scale.shape, np.int32))
        attributes = {"axis": 0} if scale.ndim else {}
        return self.add("DequantizeLinear", name, f"{name}_scale", f"{name}_zero", to=f"{name}_real", **attributes)

    def constant_value(self, name):
        proto = next(proto for proto in self.constants if proto.name == name)
        return np.frombuffer(proto.raw_data, DTYPES[proto.data_type]).reshape(tuple(proto.dims))

    # ---- the model ----

    def model(self, typed=True):
        inputs = [helper.make_tensor_value_info(n, self.types[n], self.shapes[n]) for n in self.inputs]
        outputs = []
        if typed:
            run = execute(self.model(typed=False), self.inputs, np.float32)
            for name, shape in self.outputs:
                shape = run.values[name].shape if shape is None else shape
                outputs.append(helper.make_tensor_value_info(name, run.types[name] or TensorProto.FLOAT, shape))
        graph = helper.make_graph(self.nodes, self.name, inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", self.opset)]
        if any(node.domain for node in self.nodes):
            opsets.append(helper.make_opsetid("com.microsoft", 1))
        return helper.make_model(graph, producer_name="widthwise", opset_imports=opsets, ir_version=self.ir_version)

    def save(self, folder):
        model = self.model()
        data = b""
        for proto in model.graph.initializer:
            if proto.name not in self.external:
                continue
            for key, value in (("location", "weights.bin"), ("offset", len(data)), ("length", len(proto.raw_data))):
                entry = proto.external_data.add()
                entry.key, entry.value = key, str(value)
            data += proto.raw_data + b"\0" * (-len(proto.raw_data) % 64)
            proto.ClearField("raw_data")
            proto.data_location = TensorProto.EXTERNAL
        if data:
            (folder / "weights.bin").write_bytes(data)
        (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
