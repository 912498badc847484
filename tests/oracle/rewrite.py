"""What ONNX Runtime does to a quantized model before it fuses operators, at graph optimization level `all`.

QuantizeLinear and DequantizeLinear come before data movement, too; MatMul and Add of a constant row become a Gemm; real constants of a Conv,
ConvTranspose or Gemm between DequantizeLinear and QuantizeLinear are rounded; of two pairs of QuantizeLinear and
DequantizeLinear in a row one is left. Measured, see README.md.
"""
import copy

import numpy as np
from onnx import helper
from tensors import INT32, RANGES, from_proto, to_proto

MOVES = ("MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
PRODUCTS = ("Conv", "ConvTranspose", "Gemm")


class Rewrite:
    def __init__(self, model):
        self.model = copy.deepcopy(model)
        self.graph = self.model.graph
        self.nodes = list(self.graph.node)

    def run(self):
        for quantize in [node for node in self.nodes if node.op_type == "QuantizeLinear"]:
            self.join_pairs(quantize)
        self.rows_to_gemm()
        for node in [node for node in self.nodes if node.op_type == "Conv"]:
            self.take_pads(node)
        for dequantize in [node for node in self.nodes if node.op_type == "DequantizeLinear"]:
            self.repeat_after_moves(dequantize)
        for quantize in [node for node in self.nodes if node.op_type == "QuantizeLinear"]:
            self.repeat_before_moves(quantize)
        for node in list(self.nodes):
            if node.op_type in PRODUCTS and self.quantized_after(node.output[0]):
                self.round(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        return self.model

    def producer(self, name):
        return next((node for node in self.nodes if name in node.output), None)

    def readers(self, name):
        return [node for node in self.nodes for read in node.input if read == name]

    def constant(self, name):
        found = [from_proto(proto) for proto in self.graph.initializer if proto.name == name]
        return found[0] if found else None

    def constant_type(self, name):
        return next(proto.data_type for proto in self.graph.initializer if proto.name == name)

    def before(self, node, *new):
        at = self.nodes.index(node)
        self.nodes[at:at] = new

    def join_pairs(self, second):
        """The one that is left covers the intersection of both ranges."""
        pair = self.producer(second.input[0])
        first = self.producer(pair.input[0]) if pair is not None and pair.op_type == "DequantizeLinear" else None
        after = self.readers(second.output[0])
        outputs = [output.name for output in self.graph.output]
        if first is None or first.op_type != "QuantizeLinear" or second.output[0] in outputs:
            return
        if any(len(self.readers(node.output[0])) != 1 for node in (first, pair)) or not after:
            return
        if any(node.op_type != "DequantizeLinear" for node in after):
            return
        parameters = [[self.constant(name) for name in node.input[1:3]] for node in (first, second)]
        types = [self.constant_type(node.input[2]) for node in (first, second)]
        if types[0] != types[1] or RANGES[types[0]][1] not in (127, 255, 32767, 65535):
            return
        if any([self.constant(name) for name in node.input[1:3]] != parameters[1] for node in after):
            return
        low, high = RANGES[types[0]]
        least = max(np.float32(low - np.float32(zero)) * scale for scale, zero in parameters)
        greatest = min(np.float32(high - np.float32(zero)) * scale for scale, zero in parameters)
        scale = np.float32((greatest - least) / np.float32(high - low))
        zero = parameters[0][1].dtype.type(np.floor(np.float32(low - np.float32(least / scale)) + 0.5))
        names = [f"{second.output[0]}_joined_scale", f"{second.output[0]}_joined_zero"]
        for name, array in zip(names, (scale, zero)):
            self.graph.initializer.append(to_proto(name, np.asarray(array)))
        first.input[1], first.input[2] = names
        for node in after:
            node.input[0], node.input[1], node.input[2] = first.output[0], *names
        self.nodes.remove(pair), self.nodes.remove(second)

    def rows_to_gemm(self):
        for add in [node for node in self.nodes if node.op_type == "Add"]:
            for product, bias in (add.input, reversed(list(add.input))):
                product, constant = self.producer(product), self.constant(bias)
                if product is None or product.op_type != "MatMul" or constant is None or constant.ndim != 1:
                    continue
                flat = all(len(i.type.tensor_type.shape.dim) == 2 for i in self.graph.input)
                if not flat or len(self.readers(product.output[0])) != 1:
                    continue
                gemm = helper.make_node("Gemm", [*product.input, bias], list(add.output), product.name)
                self.before(product, gemm)
                self.nodes.remove(product), self.nodes.remove(add)

    def passed(self, node):
        opset = next(o.version for o in self.model.opset_import if o.domain == "")
        return node.op_type in MOVES and (node.op_type != "MaxPool" or opset >= 12)

    def take_pads(self, conv):
        """Zeros around an ifmap [N, C, H, W] become the pads of its Conv."""
        pad = self.producer(conv.input[0])
        if pad is None or pad.op_type != "Pad" or len(pad.input) > 2 or len(self.readers(pad.output[0])) != 1:
            return
        source = self.producer(pad.input[0])
        if source is None or source.op_type != "DequantizeLinear":
            return
        amounts = [int(amount) for amount in self.constant(pad.input[1])]
        own = next((list(a.ints) for a in conv.attribute if a.name == "pads"), [0] * 4)
        kept = [a for a in conv.attribute if a.name != "pads"]
        del conv.attribute[:]
        conv.attribute.extend(kept)
        total = [a + b for a, b in zip(own, amounts[2:4] + amounts[6:8])]
        conv.attribute.append(helper.make_attribute("pads", total))
        conv.input[0] = pad.input[0]
        self.nodes.remove(pad)

    def repeat_after_moves(self, dequantize):
        readers = self.readers(dequantize.output[0])
        if len(readers) != 1 or not self.passed(readers[0]) or self.constant(dequantize.input[0]) is not None:
            return
        move = readers[0]
        after = self.readers(move.output[0])
        if not after or any(node.op_type == "QuantizeLinear" for node in after):
            return
        parameters, name = list(dequantize.input[1:]), f"{move.output[0]}_moved"
        again = helper.make_node("QuantizeLinear", [move.output[0], *parameters], [name], name)
        back = helper.make_node("DequantizeLinear", [name, *parameters], [f"{name}_real"], f"{name}_real")
        at = self.nodes.index(move) + 1
        self.nodes[at:at] = [again, back]
        for node in after:
            for i, value in enumerate(node.input):
                if value == move.output[0]:
                    node.input[i] = back.output[0]
        self.repeat_after_moves(back)

    def repeat_before_moves(self, quantize):
        move = self.producer(quantize.input[0])
        if move is None or not self.passed(move) or len(self.readers(move.output[0])) != 1:
            return
        codes = f"{quantize.output[0]}_raised"
        parameters, name = list(quantize.input[1:]), f"{quantize.name}_raised"
        again = helper.make_node("QuantizeLinear", [move.input[0], *parameters], [codes], name)
        back = helper.make_node("DequantizeLinear", [codes, *parameters], [f"{codes}_real"], f"{name}_real")
        self.before(move, again, back)
        move.input[0] = back.output[0]
        self.repeat_before_moves(again)

    def quantized_after(self, name):
        readers = self.readers(name)
        while len(readers) == 1 and readers[0].op_type in ("Relu", "Clip"):
            readers = self.readers(readers[0].output[0])
        return len(readers) == 1 and readers[0].op_type == "QuantizeLinear"

    def round(self, node):
        x, w = self.producer(node.input[0]), self.producer(node.input[1])
        if x is None or x.op_type != "DequantizeLinear":
            return
        bias = self.constant(node.input[2]) if len(node.input) > 2 else None
        if bias is not None and bias.ndim != 1:
            return
        if w is None:
            w = self.round_weight(node)
        if bias is None:
            return
        scale = np.float32(self.constant(x.input[1]) * self.constant(w.input[1]))
        codes = np.rint(np.float32(bias / scale)).astype(np.int32)
        self.dequantize(node, 2, codes, INT32, scale, np.zeros(scale.shape, np.int32), 0)

    def round_weight(self, node):
        """As DynamicQuantizeLinear does."""
        w = self.constant(node.input[1])
        low, high = np.float32(min(0, w.min())), np.float32(max(0, w.max()))
        scale = np.float32((high - low) / np.float32(255)) if high > low else np.float32(1)
        zero = np.rint(np.clip(np.float32(-low / scale), 0, 255))
        codes = np.clip(np.rint(np.float32(w / scale)) + zero, 0, 255).astype(np.uint8)
        return self.dequantize(node, 1, codes, None, scale, np.uint8(zero), None)

    def dequantize(self, node, at, codes, onnx_type, scale, zero, axis):
        name = f"{node.input[at]}_rounded"
        for part, array, of in (("", codes, onnx_type), ("_scale", scale, None), ("_zero", zero, None)):
            self.graph.initializer.append(to_proto(name + part, np.asarray(array), of))
        attributes = {"axis": axis} if np.ndim(scale) else {}
        new = helper.make_node(
            "DequantizeLinear", [name, f"{name}_scale", f"{name}_zero"], [f"{name}_real"], name, **attributes
        )
        self.before(node, new)
        node.input[at] = f"{name}_real"
        return new


def rewritten(model):
    return Rewrite(model).run()
