#!/usr/bin/python3
"""Random QDQ networks, as quantizers of several frameworks write them, in ONNX Runtime and here: `widthwise run`.

  tests/oracle/compare_qdq.py [--networks N] [--seed S] [--keep FOLDER]    exit 2 on a difference

Integers must be equal; real outputs of a network that ends in codes and a DequantizeLinear, too. QuantizeLinear and
DequantizeLinear stand between operators at random, so some operators are fused and others stay real. Codes behind those
may lie one apart where the sums of float32 come out differently; such networks are counted and not wrong.
"""
import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import Run  # noqa: E402, F401  registers the operators
from network import Network  # noqa: E402
from tensors import INT8, UINT8  # noqa: E402

TREE = Path(__file__).resolve().parents[2]


class RandomNetwork:
    def __init__(self, seed):
        self.net = Network(f"random_{seed}")
        self.random = self.net.random
        self.type = INT8 if self.chance(0.4) else UINT8
        self.symmetric = self.type == INT8 and self.chance(0.5)
        channels, extent = int(self.random.integers(1, 5)), int(self.random.integers(4, 9))
        self.net.input("x", self.net.reals(2, channels, extent, extent))
        self.made = 0
        self.values = [self.quantized("x")]
        for _ in range(int(self.random.integers(1, 9))):
            self.step()
        last = self.values[-1]
        if self.chance(0.7) and (self.chance(0.2) or not self.is_quantized(last)):
            codes, scale, zero = self.net.quantize(last, self.type, to="y_codes", symmetric=self.symmetric)
            last = codes if self.chance(0.4) else self.net.add("DequantizeLinear", codes, scale, zero)
        else:
            last = self.net.add("Identity", last)
        self.net.output(last)

    def chance(self, p):
        return self.random.random() < p

    def name(self, prefix):
        self.made += 1
        return f"{prefix}{self.made}"

    def shape(self, value):
        return self.net.value(value).shape

    def quantized(self, value):
        onnx_type = self.type if self.chance(0.9) else (INT8 if self.type == UINT8 else UINT8)
        symmetric = self.symmetric if onnx_type == self.type else False
        return self.net.quantized(value, onnx_type, to=self.name("q"), symmetric=symmetric)

    def is_quantized(self, value):
        return any(n.op_type == "DequantizeLinear" and value in n.output for n in self.net.nodes)

    def step(self):
        value = self.values[-1] if self.chance(0.75) else self.values[int(self.random.integers(len(self.values)))]
        shape = self.shape(value)
        choices = [self.relu, self.relu, self.add, self.mul, self.same_move]
        if len(shape) == 4:
            choices += [self.conv] * 5 + [self.max_pool, self.max_pool, self.average_pool, self.concat, self.flatten]
        if len(shape) == 2:
            choices += [self.gemm] * 4
        made = choices[int(self.random.integers(len(choices)))](value, shape)
        if self.chance(0.7) and (self.chance(0.1) or not self.is_quantized(made)):
            made = self.quantized(made)
        self.values.append(made)

    def weights(self, name, reals, axis, real):
        if real:
            return self.net.constant(name, reals)
        axis = axis if self.chance(0.5) else None
        return self.net.weights(name, reals, INT8, axis)

    def bias(self, name, count, x, weight):
        """"" for none; real, or integers where both operands are dequantized."""
        kind = self.random.random()
        if kind < 0.2:
            return []
        dequantizer = {n.output[0]: n for n in self.net.nodes if n.op_type == "DequantizeLinear"}
        if kind < 0.6 and x in dequantizer and weight in dequantizer:
            scales = [dequantizer[v].input[1] for v in (x, weight)]
            return [self.net.bias(name, self.net.reals(count), *scales)]
        return [self.net.constant(name, self.net.reals(count))]

    def conv(self, x, shape):
        out, k = int(self.random.integers(1, 5)), int(self.random.choice([1, 1, 3]))
        if min(shape[2:]) < 2:
            k = 1
        group = shape[1] if self.chance(0.2) else 1
        out = shape[1] if group > 1 else out
        w = self.weights(self.name("w"), self.net.reals(out, shape[1] // group, k, k), 0, self.chance(0.1))
        pads = [k // 2] * 4
        return self.net.add("Conv", x, w, *self.bias(self.name("b"), out, x, w), pads=pads, group=group)

    def gemm(self, x, shape):
        out, turned = int(self.random.integers(1, 6)), self.chance(0.5)
        matmul = self.chance(0.5)
        if matmul or not turned:
            w = self.weights(self.name("w"), self.net.reals(shape[1], out), 1, not matmul and self.chance(0.1))
        else:
            w = self.weights(self.name("w"), self.net.reals(out, shape[1]), 0, self.chance(0.1))
        if not matmul:
            return self.net.add("Gemm", x, w, *self.bias(self.name("b"), out, x, w), transB=int(turned))
        y = self.net.add("MatMul", x, w)
        if self.chance(0.3):
            return y
        return self.net.add("Add", y, self.net.constant(self.name("b"), self.net.reals(out)))

    def relu(self, x, shape):
        if self.chance(0.3):
            ends = [self.net.constant(self.name("c"), np.float32(end)) for end in (0, 1.5)]
            return self.net.add("Clip", x, *ends)
        return self.net.add("Relu" if self.chance(0.8) else "LeakyRelu", x)

    def other(self, x, shape):
        alike = [v for v in self.values if v != x and self.shape(v) == shape]
        return alike[int(self.random.integers(len(alike)))] if alike else x

    def add(self, x, shape):
        return self.net.add("Add", x, self.other(x, shape))

    def mul(self, x, shape):
        return self.net.add("Mul", x, self.other(x, shape))

    def concat(self, x, shape):
        alike = [v for v in self.values if self.shape(v)[2:] == shape[2:] and len(self.shape(v)) == 4]
        return self.net.add("Concat", x, alike[int(self.random.integers(len(alike)))], axis=1)

    def max_pool(self, x, shape):
        k = 2 if min(shape[2:]) >= 2 else 1
        return self.net.add("MaxPool", x, kernel_shape=[k, k], strides=[1, k])

    def average_pool(self, x, shape):
        if self.chance(0.4):
            return self.net.add("GlobalAveragePool", x)
        k = 2 if min(shape[2:]) >= 2 else 1
        return self.net.add("AveragePool", x, kernel_shape=[k, k])

    def flatten(self, x, shape):
        if self.chance(0.5):
            return self.net.add("Flatten", x)
        return self.net.add("Reshape", x, self.net.constant(self.name("s"), np.int64([shape[0], -1])))

    def same_move(self, x, shape):
        if len(shape) == 4 and self.chance(0.5):
            return self.net.add("Transpose", x, perm=[0, 1, 3, 2])
        axis = self.net.constant(self.name("a"), np.int64([0]))
        return self.net.add("Squeeze", self.net.add("Unsqueeze", x, axis), axis)


def run(command):
    """Whether it did; a model that ONNX Runtime's own rewriting breaks is not compared."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 and "two nodes with same node name" not in done.stderr:
        sys.exit(f"error: {' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.returncode == 0


def compare(seed, parent, widthwise):
    """(seed, greatest difference, values that differ, values); no values if ONNX Runtime breaks the model."""
    network = RandomNetwork(seed).net
    folder = parent / str(seed)
    folder.mkdir()
    network.save(folder)
    model, x = folder / "model.onnx", folder / "x.npy"
    np.save(x, network.inputs["x"])
    there = run(["node", TREE / "tests/oracle/run_model.mjs", model, "--input", f"x={x}", "--out", folder / "there"])
    if not there:
        return seed, 0, 0, 0
    run([widthwise, "run", model, "--input", f"x={x}", "--out", folder / "here"])
    name = network.outputs[0][0]
    here, there = (np.load(folder / where / f"{name}.npy") for where in ("here", "there"))
    if here.dtype != there.dtype or here.shape != there.shape:
        return seed, np.inf, here.size, here.size
    if here.dtype.kind == "f":
        apart = np.abs(np.float64(here) - there) > 1e-5 * np.abs(there).max(initial=0)
    else:
        apart = here != there
    worst = float(np.abs(np.float64(here) - there).max(initial=0))
    return seed, worst, int(apart.sum()), here.size


def main():
    parser = argparse.ArgumentParser(description="Random QDQ networks in ONNX Runtime and here.")
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first network")
    parser.add_argument("--keep", help="folder for the networks that differ")
    arguments = parser.parse_args()
    widthwise = TREE / "build/release/cli/widthwise"
    different, values, wrong, refused = [], 0, 0, 0
    seeds = range(arguments.seed, arguments.seed + arguments.networks)
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for seed, worst, count, size in pool.map(lambda s: compare(s, Path(scratch), widthwise), seeds):
            values += size
            refused += size == 0
            wrong += count
            if count:
                different.append(seed)
                print(f"seed {seed}: {count} of {size} values differ, by up to {worst:.6g}")
                if arguments.keep:
                    shutil.copytree(Path(scratch) / str(seed), Path(arguments.keep) / str(seed), dirs_exist_ok=True)
    compared = f"{arguments.networks - refused} networks ({refused} more that ONNX Runtime itself breaks)"
    print(f"{compared}: {len(different)} differ, {wrong} of {values} values")
    sys.exit(2 if different else 0)


if __name__ == "__main__":
    main()
