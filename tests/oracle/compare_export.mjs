// Quantizes shipped networks, runs the written files in ONNX Runtime and here on the same images, and
// compares. ONNX Runtime fuses at level `all`; there every logit must be equal, bit for bit, but for
// networks with layers in float, whose sums are in another order: of those nearly all classes.
import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {gunzipSync} from 'node:zlib';

import {read_npy} from './npy.mjs';
import {InputError, kTree, load_runtime, one_line} from './runtime.mjs';

const kUsage = `usage: compare_export [options]
  --images N            the first test images; 0: all (1000)
  --networks a,b        of models/zoo (plain_cnn,resnet8,shufflenetv2)
  --accelerators a,b    shipped descriptions or .yaml files (edge-int8,edge-int4)
  --methods a,b         few-bits and float-ends, 4 bits by the preset (few-bits,float-ends)
  --calibration N       training images for the ranges (1024)
  --random N            random networks as well (0)
  --data folder         IDX files (/usr/share/datasets/fashion-mnist)
  --build folder        with the programs (build/release)
  --keep folder         where the files stay; without: a temporary folder
  --oracle folder       where scripts/install-onnxruntime put ONNX Runtime (build/oracle)`;
const kBatch = 100, kDifferent = 2;
const kFewBits = ['--preset', 'few-bits', '--qe-mode', 'sym_restr', '--qe-bits-acts', '4', '--qe-bits-wts', '4'];
const kMethods = {'few-bits': kFewBits, 'float-ends': [...kFewBits, '--first-last-bits', 'float']};
const kClassesEqual = 0.99;  // of a network with layers in float

function parse(argv) {
  const text = (otherwise) => ({type: 'string', default: otherwise});
  const {values} = parseArgs({args: argv, options: {
    images: text('1000'), calibration: text('1024'), networks: text('plain_cnn,resnet8,shufflenetv2'), random: text('0'),
    accelerators: text('edge-int8,edge-int4'), methods: text('few-bits,float-ends'), data: text('/usr/share/datasets/fashion-mnist'),
    build: text(path.join(kTree, 'build', 'release')), keep: {type: 'string'},
    oracle: text(path.join(kTree, 'build', 'oracle')), help: {type: 'boolean', short: 'h', default: false},
  }});
  for (const method of values.methods.split(',').filter(Boolean)) {
    if (!(method in kMethods)) throw new InputError(`--methods has '${method}', allowed are ${Object.keys(kMethods)}`);
  }
  for (const name of ['images', 'calibration', 'random']) {
    if (!/^\d{1,8}$/.test(values[name]))
      throw new InputError(`--${name} is '${values[name]}', allowed are whole numbers from 0`);
  }
  return values;
}

function program(options, ...names) {
  const file = path.join(options.build, ...names);
  if (!existsSync(file)) throw new InputError(`${file}: is missing; build it, or name --build`);
  return file;
}

function run(file, args) {
  try {
    return execFileSync(file, args, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28});
  } catch (error) {
    throw new InputError(`${path.basename(file)} ${args[0]}: ${String(error.stderr || one_line(error)).trim()}`);
  }
}

function read_labels(folder, count) {
  const plain = path.join(folder, 't10k-labels-idx1-ubyte');
  const bytes = existsSync(plain) ? readFileSync(plain) : gunzipSync(readFileSync(`${plain}.gz`));
  return bytes.subarray(8, 8 + count);
}

// Outputs of a model for inputs [images, ...], as one array.
async function run_oracle(ort, file, input, level) {
  const session = await ort.InferenceSession.create(file, {
    executionProviders: ['cpu'], graphOptimizationLevel: level, intraOpNumThreads: 1, interOpNumThreads: 1,
    logSeverityLevel: 4});
  const images = input.dims[0], size = input.data.length / images, parts = [];
  for (let from = 0; from < images; from += kBatch) {
    const count = Math.min(kBatch, images - from);
    const tensor = new ort.Tensor('float32', input.data.subarray(from * size, (from + count) * size),
                                  [count, ...input.dims.slice(1)]);
    parts.push((await session.run({[session.inputNames[0]]: tensor}))[session.outputNames[0]].data);
  }
  await session.release();
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function predictions(logits, images) {
  const classes = logits.length / images;
  return Array.from({length: images}, (_, i) => {
    const own = logits.subarray(i * classes, (i + 1) * classes);
    return own.indexOf(Math.max(...own));
  });
}
const equal_count = (a, b) => a.reduce((sum, value, i) => sum + (value === b[i]), 0);
const percent = (part, whole) => (100 * part / whole).toFixed(part === whole ? 0 : 3);

function print_table(rows) {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((row) => String(row[c]).length)));
  for (const row of rows)
    console.log(row.map((cell, c) => c < 2 ? String(cell).padEnd(widths[c]) : String(cell).padStart(widths[c]))
                    .join('  ').trimEnd());
}

async function compare_network(ort, options, folder, network, how, rows) {
  const widthwise = program(options, 'cli', 'widthwise');
  const name = `${network}_${path.basename(how, '.yaml')}`, quantization = kMethods[how] ?? ['--accelerator', how];
  const inputs = path.join(folder, `${network}.npy`);
  const here = {};
  for (const format of ['qcdq', 'qonnx']) {
    const file = path.join(folder, `${name}_${format}.onnx`), logits = file.replace('.onnx', '.npy');
    run(widthwise, ['quantize', network, ...quantization, '--data', options.data,
                    '--images', options.calibration, '--format', format, '--out', file]);
    run(widthwise, ['evaluate', file, '--data', options.data, '--images', options.images,
                    '--preprocessing', path.join(kTree, 'models', 'zoo', `${network}.yaml`),
                    '--logits', logits, '--inputs', inputs]);
    here[format] = {file, logits: read_npy(readFileSync(logits)).data};
  }
  const input = read_npy(readFileSync(inputs)), images = input.dims[0];
  const labels = read_labels(options.data, images);
  const wanted = here.qcdq.logits, classes = predictions(wanted, images);
  let equal = true;
  for (const [what, logits] of [
         ['ONNX Runtime, all', await run_oracle(ort, here.qcdq.file, input, 'all')],
         ['ONNX Runtime, disabled', await run_oracle(ort, here.qcdq.file, input, 'disabled')],
         ['QONNX, evaluated here', here.qonnx.logits]]) {
    const others = predictions(logits, images), same = equal_count(logits, wanted);
    rows.push([name, what, images, percent(same, wanted.length), percent(equal_count(others, classes), images),
               (100 * equal_count(classes, labels) / images).toFixed(2),
               (100 * equal_count(others, labels) / images).toFixed(2)]);
    if (!what.endsWith('all')) continue;
    equal = how === 'float-ends' ? equal_count(others, classes) >= kClassesEqual * images : same === wanted.length;
  }
  return equal;
}

async function compare_random(ort, options, folder) {
  const out = path.join(folder, 'random');
  mkdirSync(out, {recursive: true});
  run(program(options, 'tests', 'write_random'), [out, options.random]);
  let all_equal = true;
  for (const level of ['all', 'disabled']) {
    let equal = 0, values = 0, different = 0;
    for (const name of readdirSync(out)) {
      const read = (file) => read_npy(readFileSync(path.join(out, name, file)));
      const wanted = read('y.npy').data;
      const found = await run_oracle(ort, path.join(out, name, 'net.onnx'), read('x.npy'), level);
      const same = equal_count(found, wanted);
      values += wanted.length;
      different += wanted.length - same;
      equal += same === wanted.length && found.length === wanted.length;
      if (level === 'all' && same !== wanted.length) console.log(`random network ${name}: ${wanted.length - same} differ`);
    }
    console.log(`random networks, ${level}: ${equal} of ${options.random} equal, ${different} of ${values} values differ`);
    if (level === 'all') all_equal = different === 0;
  }
  return all_equal;
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (options.help) return console.log(kUsage);
  const ort = load_runtime(options.oracle);
  const folder = options.keep ?? mkdtempSync(path.join(os.tmpdir(), 'compare_export-'));
  mkdirSync(folder, {recursive: true});
  const rows = [['network', 'against widthwise evaluate', 'images', 'logits equal %', 'predictions equal %',
                 'top-1 % here', 'top-1 % there']];
  let equal = true;
  try {
    for (const network of options.networks.split(',').filter(Boolean))
      for (const how of [...options.accelerators.split(','), ...options.methods.split(',')].filter(Boolean))
        equal = await compare_network(ort, options, folder, network, how, rows) && equal;
    if (rows.length > 1) print_table(rows);
    if (options.random !== '0') equal = await compare_random(ort, options, folder) && equal;
  } finally {
    if (options.keep === undefined) rmSync(folder, {recursive: true});
  }
  if (!equal) process.exitCode = kDifferent;
}

main().catch((error) => {
  if (!(error instanceof InputError) && error.code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
});
