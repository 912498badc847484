#!/bin/bash
# Runs every command of docs/tutorial.md in an empty folder and checks what the tutorial says of
# them.  tests/tutorial.sh <tree> <widthwise>
set -euo pipefail
tree=$1
export widthwise=$2 zoo=$1/models/zoo data=/usr/share/datasets/fashion-mnist
[[ -d $data ]] || { echo "skipped: $data is absent"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# The blocks marked as sh, each with -e.
sed -n '/^```sh$/,/^```$/p' "$tree/docs/tutorial.md" | sed '/^```/d' > commands.sh
[[ $(grep -c '^\$widthwise' commands.sh) -ge 10 ]] || { echo "tutorial.md has lost its commands"; exit 1; }
bash -eux commands.sh > output.txt 2> trace.txt || { cat output.txt trace.txt | tail -n 5; exit 1; }

require() { grep -Eq -- "$1" output.txt || { echo "not in the output: $1"; cat output.txt; exit 1; }; }
require '^shufflenetv2: 42674 parameters \(batch normalization folded\), 3531632 MACs per image$'
require '^Test: \[   4/   8\]  Top1  9[0-9.]+  Top5  9[0-9.]+  Loss 0\.[0-9]+  [0-9]+ images/s  [0-9]+ s left$'
require '^shufflenetv2: statistics of 54 layers over 3000 inputs in [0-9.]+ s, written to stats.yaml$'
require '^stem\.0 +Conv2d +- +8 +8 +asym_u +none +yes'
require '^classifier +Linear +no clip: classifier +8 +8 +sym +none +no +16'
require '^Clipped as it ran$'
require '^shufflenetv2: [0-9]+ layers quantized over stats.yaml, written to int8.onnx$'
require '^Accumulator bits that each layer needs'
[[ -s settings.yaml && -s int8.onnx && -s int4.onnx ]]

# Accuracy: within half a point of float at 8 bits, two and a half at 4.
top1() { grep "^Top1" output.txt | sed -n "$1p" | awk '{print $2}'; }
awk -v float="$(top1 1)" -v at_once="$(top1 2)" -v int8="$(top1 4)" -v int4="$(top1 5)" 'BEGIN {
  if (float - at_once > 0.5 || float - int8 > 0.5 || float - int4 > 2.5) {
    print "top-1 is", float, at_once, int8, int4; exit 1 } }'
echo "tutorial: every command ran; top-1 float $(top1 1), 8 bits $(top1 4), 4 bits $(top1 5)"
