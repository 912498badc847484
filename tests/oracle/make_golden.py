#!/usr/bin/python3
"""Writes tests/golden: networks of our own, ONNX Runtime's outputs of them, and their layers' narrow accumulators.

  tests/oracle/make_golden.py [name ...]    all, or those whose names start so
  tests/oracle/make_golden.py --check       makes them in a temporary folder and compares; exit 2 on a difference
"""
import argparse
import concurrent.futures
import filecmp
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from accumulators import signed_bits, simulate  # noqa: E402
from float_interpreter import execute  # noqa: E402
from network import CASES  # noqa: E402
from rewrite import rewritten  # noqa: E402
from tensors import RANGES, read_pb, to_proto, type_of  # noqa: E402

for file in sorted((Path(__file__).parent / "cases").glob("[a-z]*.py")):
    importlib.import_module(f"cases.{file.stem}")

TREE = Path(__file__).resolve().parents[2]
GOLDEN = TREE / "tests" / "golden"
ORACLE = "onnxruntime-node 1.30.0 CPU, graphOptimizationLevel=all"


class OracleError(Exception):
    pass


def write_pb(path, name, array, onnx_type=None):
    path.write_bytes(to_proto(name, array, onnx_type).SerializeToString(deterministic=True))


def run_oracle(folder, network, level, out):
    """Outputs by name; output_K.pb in `out`."""
    command = ["node", str(TREE / "tests/oracle/run_model.mjs"), str(folder / "model.onnx"), "--format", "pb",
               "--optimization", level, "--out", str(out)]  # fmt: skip
    for k, name in enumerate(network.inputs):
        command += ["--input", f"{name}={folder}/test_data_set_0/input_{k}.pb"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("error: ")
        raise OracleError(f"{network.name}: {said or f'node ended with {done.returncode}'}")
    return {name: read_pb(out / f"output_{k}.pb") for k, (name, _) in enumerate(network.outputs)}


def difference(a, b):
    """[greatest absolute difference, how many differ, of how many]; float32 where the ideal value has more bits."""
    if a.shape != b.shape:
        raise OracleError(f"shapes {a.shape} and {b.shape}")
    apart = np.abs(np.float64(np.float32(a) if a.dtype.kind == "f" else a) - np.float64(b))
    return [float(apart.max(initial=0)), int((apart > 0).sum()), int(apart.size)]


def compare(name, by):
    found = {}
    for a, b in (("numpy_f32spec", "ort_all"), ("numpy_exact", "ort_all"), ("numpy_f32spec", "ort_disabled"),
                 ("numpy_exact", "ort_disabled"), ("ort_all", "ort_disabled")):  # fmt: skip
        found[f"{a}_vs_{b}"] = difference(by[a][name], by[b][name])
    found["numpy_f32spec_vs_exact"] = difference(by["numpy_exact"][name], by["numpy_f32spec"][name])
    codes = by["ort_all"][name]
    if codes.dtype.kind in "iu" and codes.dtype.itemsize < 4:
        low, high = RANGES[type_of(codes)]
        found |= {"saturated_low": int((codes == low).sum()), "saturated_high": int((codes == high).sum())}
    return found


def describe(mac, data, widths):
    """A layer's entry in meta.json; writes acc_<mode>_P<bits>.pb."""
    low, high = mac.bounds()
    ends = int(mac.final.min()), int(mac.final.max())
    entry = {
        "node": mac.node, "acc_min": ends[0], "acc_max": ends[1], "init": "bias", "partial_min": low,
        "partial_max": high, "min_bits_final": signed_bits(*ends), "min_bits_partial": signed_bits(low, high),
        "sims": [],
    }  # fmt: skip
    for bits in [max(2, entry["min_bits_partial"] - less) for less in widths]:
        for mode in ("wrap", "sat"):
            values, adds, outputs = simulate(mac, bits, mode)
            file = f"acc_{mode}_P{bits}.pb"
            write_pb(data / file, "acc", values.astype(np.int32))
            entry["sims"].append({
                "P": bits, "mode": mode, "overflow_adds": adds, "overflow_outputs": outputs,
                "differs": int((values != mac.final).sum()), "file": file,
            })  # fmt: skip
    return entry


def to_json(meta):
    """Indented by one, but every innermost object and list on a line of its own."""

    def joined(found):
        return found[1] + re.sub(r"\s*\n\s*", " ", found[2]) + found[3]

    return re.sub(r"([\[{])\s+([^\[\]{}]*?)\s+([\]}])", joined, json.dumps(meta, indent=1)) + "\n"


def make(name, parent):
    network = CASES[name]()
    folder = parent / name
    data = folder / "test_data_set_0"
    shutil.rmtree(folder, ignore_errors=True)
    data.mkdir(parents=True)
    network.save(folder)
    for k, (tensor, array) in enumerate(network.inputs.items()):
        write_pb(data / f"input_{k}.pb", tensor, array, network.types[tensor])
    model = rewritten(network.model())
    spec, exact = (execute(model, network.inputs, real) for real in (np.float32, np.longdouble))
    by = {"numpy_f32spec": spec.values, "numpy_exact": exact.values}
    by["ort_all"] = run_oracle(folder, network, "all", data)
    with tempfile.TemporaryDirectory() as scratch:
        by["ort_disabled"] = run_oracle(folder, network, "disabled", Path(scratch))
    widths = (4, 2, 1, 0) if network.simulate else ()
    meta = {
        "name": name, "opset": network.opset, "macs": [describe(mac, data, widths) for mac in spec.macs.values()],
        "oracle": ORACLE, "compare": {output: compare(output, by) for output, _ in network.outputs},
    }  # fmt: skip
    (folder / "meta.json").write_text(to_json(meta))
    return meta


def without_floats(meta):
    """meta.json without what depends on the processor: how far float results are apart."""
    return {**meta, "compare": sorted(meta["compare"])}


def alike(made, kept):
    """Whether two files differ only as float outputs may between processors."""
    try:
        if made.name == "meta.json":
            return without_floats(json.loads(made.read_text())) == without_floats(json.loads(kept.read_text()))
        if not made.name.startswith("output_"):
            return False
        ours, theirs = read_pb(made), read_pb(kept)
    except Exception:  # whatever a damaged file brings
        return False
    floats = ours.dtype == theirs.dtype == np.float32
    return floats and ours.shape == theirs.shape and np.allclose(ours, theirs, 1e-5, 1e-6)


def check(made, names, whole):
    """Prints what differs between the folder `made` and tests/golden; whether nothing does."""
    wrong, identical, files = [], 0, 0
    for name in names:
        found = {path.relative_to(root) for root in (made, GOLDEN) for path in (root / name).rglob("*.*")}
        for path in sorted(found):
            files += 1
            if not (made / path).exists() or not (GOLDEN / path).exists():
                wrong.append(f"{path}: only in {'tests/golden' if (GOLDEN / path).exists() else 'the new run'}")
            elif filecmp.cmp(made / path, GOLDEN / path, shallow=False):
                identical += 1
            elif not alike(made / path, GOLDEN / path):
                wrong.append(f"{path}: differs")
    if whole:
        wrong += [f"{name}: no such case" for name in sorted(os.listdir(GOLDEN)) if name not in names]
    print("\n".join([*wrong, f"{len(names)} goldens, {files} files: {identical} identical, {len(wrong)} wrong"]))
    return not wrong


def main():
    parser = argparse.ArgumentParser(description="Writes tests/golden.")
    parser.add_argument("names", nargs="*", help="only goldens whose names start so")
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    arguments = parser.parse_args()
    whole = not arguments.names
    names = [name for name in sorted(CASES) if whole or name.startswith(tuple(arguments.names))]
    if not names:
        sys.exit(f"error: no golden's name starts with {' or '.join(arguments.names)}")
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        parent = Path(scratch) if arguments.check else GOLDEN
        try:
            list(pool.map(lambda name: make(name, parent), names))
        except OracleError as error:
            sys.exit(f"error: {error}")
        if arguments.check:
            sys.exit(0 if check(parent, names, whole) else 2)
    for name in os.listdir(GOLDEN) if whole else []:
        if name not in names:  # what no case makes any more
            shutil.rmtree(GOLDEN / name)
    print(f"{len(names)} goldens in {GOLDEN}")


if __name__ == "__main__":
    main()
