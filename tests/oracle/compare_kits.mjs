#!/usr/bin/env node
// Predictions and outputs of networks over their data, Widthwise beside ONNX Runtime.
//   tests/oracle/compare_kits.mjs [--kits DIR] [--oracle DIR] [--widthwise PROGRAM] [--repeat N] [case.yaml ...]
// --repeat N also times both on two threads, N times, and prints the ratio of the medians.
// The cases are those of tests/conformance/kits; networks that ONNX Runtime cannot run (QONNX) are
// left out. Exit 0 when 99.9 % of all predictions are equal, 2 when not, 1 for bad input.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { read_npy } from './npy.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const tree = resolve(here, '../..');
const options = {
  kits: process.env.WIDTHWISE_KITS || resolve(tree, '../shared/kits'),
  oracle: join(tree, 'build/oracle'),
  widthwise: join(tree, 'build/release/cli/widthwise'),
  repeat: '0',
};
const cases = [];
for (let i = 2; i < process.argv.length; ++i) {
  const argument = process.argv[i];
  if (!argument.startsWith('--')) cases.push(argument);
  else if (argument.slice(2) in options && i + 1 < process.argv.length) options[argument.slice(2)] = process.argv[++i];
  else {
    console.error(`compare_kits: ${argument} is unknown or lacks a value; known: ${Object.keys(options).map((k) => `--${k}`).join(', ')}`);
    process.exit(1);
  }
}
const folder = join(tree, 'tests/conformance/kits');
if (cases.length === 0) cases.push(...readdirSync(folder).filter((f) => f.endsWith('.yaml')).sort().map((f) => join(folder, f)));

// The few keys of a case; its preprocessing is a block of its own.
function readCase(file) {
  const text = readFileSync(file, 'utf8').replaceAll('${KITS}', options.kits);
  const value = (key) => text.match(new RegExp(`^${key}:\\s*(\\S+)`, 'm'))?.[1];
  const block = text.match(/^preprocessing:\n((?:[ ].*\n)+)/m)?.[1] ?? '';
  return {
    name: basename(file, '.yaml'),
    network: join(options.kits, value('network')),
    data: join(options.kits, value('data')),
    labels: join(options.kits, value('labels')),
    preprocessing: block.replace(/^ {2}/gm, ''),
  };
}

const argmax = (values, first, count) => {
  let best = 0;
  for (let i = 1; i < count; ++i) if (values[first + i] > values[first + best]) best = i;
  return best;
};

const kThreads = 2, kBatch = 100;
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
// Images per second: Widthwise's own clock (preprocessing included), ONNX Runtime's loop of runs.
function speeds(c, yaml, x) {
  const own = [];
  for (let i = 0; i < Number(options.repeat); ++i) {
    const out = execFileSync(options.widthwise, ['evaluate', c.network, '--data', c.data, '--labels', c.labels, '--preprocessing', yaml, '--json'], { maxBuffer: 1 << 26 });
    own.push(JSON.parse(out).images_per_second);
  }
  const out = execFileSync(join(here, 'run_model.mjs'), [c.network, '--input', `input=${x}`, '--batch', `${kBatch}`, '--threads', `${kThreads}`, '--repeat', options.repeat, '--oracle', options.oracle]).toString();
  return [median(own), Number(out.match(/median ([\d.]+)/)[1])];
}

const rows = [];
let worst = 100;
for (const file of cases) {
  const c = readCase(file);
  if (!existsSync(c.network)) continue;
  if (/brevitas|qonnx|finn/.test(readFileSync(c.network, 'latin1'))) continue;
  const scratch = mkdtempSync(join(tmpdir(), 'widthwise-kits-'));
  try {
    const [yaml, x, ours, theirs] = ['p.yaml', 'x.npy', 'ours.npy', 'ort'].map((f) => join(scratch, f));
    writeFileSync(yaml, c.preprocessing);
    execFileSync(options.widthwise, ['evaluate', c.network, '--data', c.data, '--labels', c.labels, '--preprocessing', yaml, '--inputs', x, '--logits', ours], { stdio: ['ignore', 'ignore', 'inherit'] });
    execFileSync(join(here, 'run_model.mjs'), [c.network, '--input', `input=${x}`, '--batch', '100', '--out', theirs, '--oracle', options.oracle], { stdio: ['ignore', 'ignore', 'inherit'] });
    const a = read_npy(readFileSync(ours)), b = read_npy(readFileSync(join(theirs, 'logits.npy')));
    const labels = read_npy(readFileSync(c.labels));
    const offset = Number(c.preprocessing.match(/^label_offset:\s*(\d+)/m)?.[1] ?? 0);
    const images = Number(a.dims[0]), outputs = a.data.length / images;
    let same = 0, equal = 0, right = [0, 0], largest = 0;
    for (let i = 0; i < images; ++i) {
      const p = argmax(a.data, i * outputs, outputs), q = argmax(b.data, i * outputs, outputs);
      const label = Number(labels.data[i]) + offset;
      same += p === q;
      right[0] += p === label;
      right[1] += q === label;
    }
    for (let i = 0; i < a.data.length; ++i) {
      equal += a.data[i] === b.data[i];
      largest = Math.max(largest, Math.abs(a.data[i] - b.data[i]));
    }
    worst = Math.min(worst, (100 * same) / images);
    const percent = (n, of) => ((100 * n) / of).toFixed(2);
    rows.push([c.name, images, percent(right[0], images), percent(right[1], images), percent(same, images), percent(equal, a.data.length), largest.toPrecision(3)]);
    if (Number(options.repeat) > 0) {
      const [own, peer] = speeds(c, yaml, x);
      rows.at(-1).push(own.toFixed(0), peer.toFixed(0), (own / peer).toFixed(3));
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
const header = ['network', 'inputs', 'top-1 %', 'ONNX Runtime %', 'same class %', 'outputs bit for bit %', 'largest difference'];
if (Number(options.repeat) > 0) header.push('images/s', 'ONNX Runtime images/s', 'ratio');
const widths = header.map((h, i) => Math.max(h.length, ...rows.map((r) => String(r[i]).length)));
for (const row of [header, ...rows]) console.log(row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]))).join('  '));
if (rows.length === 0) {
  console.error(`compare_kits: no networks below ${options.kits}`);
  process.exit(1);
}
process.exit(worst >= 99.9 ? 0 : 2);
