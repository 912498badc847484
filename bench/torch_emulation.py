#!/usr/bin/python3
"""Narrow accumulators as they are emulated in PyTorch: speed on the layers of the benchmark, one thread.

    bench/torch_emulation.py FOLDER [--filter REGEX] [--rounds N]

FOLDER is what export_layers wrote. Prints {"<layer>/<data>/<emulation>": GMAC/s}, each the best of N rounds over the
whole layer, nominal MACs. Results are compared with the simulator's first: exit 2 where they differ. Needs Debian's
python3-torch.
"""
import argparse
import functools
import json
import pathlib
import re
import sys
import time

import numpy
import torch


class Layer:
    """One layer's operands: ifmap [groups, 1, K, pixels], weights [groups, oc / groups, K, 1], int32."""

    def __init__(self, folder, shape, data):
        def read(what, dtype):
            return torch.from_numpy(numpy.fromfile(folder / f"{shape['name']}.{data}.{what}", dtype))

        groups, size, kernel = shape["groups"], shape["size"], shape["kernel"]
        ifmap = read("ifmap", numpy.uint8).reshape(1, shape["ifmaps"], size, size)
        taps = torch.nn.functional.unfold(ifmap.float(), kernel, padding=kernel // 2).int()
        self.ifmap = taps.reshape(groups, 1, -1, taps.shape[-1])
        self.weights = read("weights", numpy.int8).int().reshape(groups, shape["ofmaps"] // groups, -1, 1)
        self.sums = read("sums", numpy.int32).reshape(-1, shape["ofmaps"]).t()
        self.hits = read("hits", numpy.int64)
        self.macs = self.weights.numel() * self.ifmap.shape[-1]


def product_clip(layer, low, high):
    """All products, then a chain of additions with a clip after each."""
    return functools.reduce(lambda sums, addend: (sums + addend).clip(low, high), (layer.ifmap * layer.weights).unbind(2))


def loop(layer, low, high):
    """The same chain without the tensor of products: step after step over K, all outputs at once."""
    sums = torch.zeros(*layer.weights.shape[:2], layer.ifmap.shape[-1], dtype=torch.int32)
    for codes, weights in zip(layer.ifmap.unbind(2), layer.weights.unbind(2)):
        sums.addcmul_(codes, weights).clip_(low, high)
    return sums


def product_cumsum(layer, widths):
    """All products, their running sums, and from the extremes the outputs that overflow at each width."""
    products = layer.ifmap.transpose(2, 3).contiguous() * layer.weights.transpose(2, 3)  # K last: the fastest
    running = torch.cumsum(products, 3, dtype=torch.int32)
    need = torch.maximum(running.amax(3), -1 - running.amin(3))  # fits `bits` bits if < 2^(bits - 1)
    return torch.stack([(need >= 1 << (bits - 1)).sum() for bits in widths])


def rate(layer, emulation, rounds):
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        emulation(layer)
        seconds.append(time.process_time() - start)
    return layer.macs / min(seconds) * 1e-9


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--filter", default=".", type=re.compile)
    parser.add_argument("--rounds", default=5, type=int)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    exported = json.loads((arguments.folder / "layers.json").read_text())
    bits, (least, most) = exported["saturated_bits"], exported["census_bits"]
    rails = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    emulations = {
        "torch_product_clip": (lambda layer: product_clip(layer, *rails), lambda layer: layer.sums),
        "torch_loop": (lambda layer: loop(layer, *rails), lambda layer: layer.sums),
        "torch_product_cumsum": (lambda layer: product_cumsum(layer, range(least, most + 1)), lambda layer: layer.hits),
    }
    rates = {}
    for shape in exported["layers"]:
        for data in ("relu", "dense"):
            layer = Layer(arguments.folder, shape, data)
            for name, (emulation, expected) in emulations.items():
                run = f"{shape['name']}/{data}/{name}"
                if not arguments.filter.search(run):
                    continue
                result, own = emulation(layer), expected(layer)
                if not torch.equal(result.reshape(own.shape), own):
                    sys.exit(f"PyTorch and the simulator disagree on {run}")
                rates[run] = rate(layer, emulation, arguments.rounds)
    json.dump(rates, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
