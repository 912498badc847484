#!/usr/bin/env node
// Runs an ONNX model with ONNX Runtime on the CPU and writes every output. Exit 0 done, 1 bad input.
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';

import {read_npy, write_npy} from './npy.mjs';
import {InputError, kTree, load_runtime, one_line} from './runtime.mjs';
import {read_tensor_proto, write_tensor_proto} from './tensor_proto.mjs';

const kUsage = `usage: run_model.mjs model.onnx --input name=file [--input ...] [--out folder] [options]
  --input name=file        a tensor: .npy, or an ONNX TensorProto .pb
  --out folder             where to write <output>.npy, output_K.pb
  --format npy|pb|both     what to write (npy)
  --optimization level     all, extended, basic or disabled (all)
  --threads N              threads within an operator (1)
  --batch N                cut the inputs along their first axis, N at a time; outputs are stacked
  --repeat N               after one run to warm up, time N runs over all inputs; prints images/s
  --oracle folder          where scripts/install-onnxruntime put ONNX Runtime (build/oracle)`;

const kLevels = ['all', 'extended', 'basic', 'disabled'];

// Runs `work`; an error in it is reported with the file or place it is about.
async function about(place, work) {
  try {
    return await work();
  } catch (error) {
    throw error instanceof InputError ? error : new InputError(`${place}: ${one_line(error)}`);
  }
}

function positive(options, name) {
  if (!/^[1-9]\d{0,8}$/.test(options[name]))
    throw new InputError(`--${name} is '${options[name]}', allowed are whole numbers from 1`);
  return Number(options[name]);
}

function one_of(options, name, allowed) {
  if (!allowed.includes(options[name]))
    throw new InputError(`--${name} is '${options[name]}', allowed: ${allowed.join(', ')}`);
  return options[name];
}

function parse(argv) {
  const {values, positionals} = parseArgs({
    args: argv, allowPositionals: true, options: {
      input: {type: 'string', multiple: true, default: []}, out: {type: 'string'},
      format: {type: 'string', default: 'npy'}, optimization: {type: 'string', default: 'all'},
      threads: {type: 'string', default: '1'}, batch: {type: 'string'}, repeat: {type: 'string'},
      oracle: {type: 'string', default: path.join(kTree, 'build', 'oracle')},
      help: {type: 'boolean', short: 'h', default: false},
    }});
  if (values.help) return values;
  if (positionals.length !== 1)
    throw new InputError(`one model is needed, ${positionals.length} are named; see --help`);
  if (values.out === undefined && values.repeat === undefined)
    throw new InputError('neither --out nor --repeat is given: nothing to do');
  for (const name of ['threads', 'batch', 'repeat'])
    if (values[name] !== undefined) values[name] = positive(values, name);
  one_of(values, 'format', ['npy', 'pb', 'both']);
  one_of(values, 'optimization', kLevels);
  return {...values, model: positionals[0]};
}

// name=file of every --input -> {name: tensor}; the names are the model's.
function read_inputs(named, known) {
  const inputs = {};
  for (const option of named) {
    const [, name, file] = /^([^=]+)=(.+)$/s.exec(option) ?? [];
    if (!file) throw new InputError(`--input '${option}' is not of the form name=file`);
    if (!known.includes(name))
      throw new InputError(`--input ${name}: the model has no such input, only ${known.join(', ')}`);
    try {
      const bytes = readFileSync(file);
      inputs[name] = file.endsWith('.pb') ? read_tensor_proto(bytes) : read_npy(bytes);
    } catch (error) {
      throw new InputError(`${file}: ${one_line(error)}`);
    }
  }
  const missing = known.filter((name) => !(name in inputs));
  if (missing.length) throw new InputError(`no --input for ${missing.join(', ')}`);
  return inputs;
}

// The inputs cut along the first axis, `batch` images in each piece but the last.
function cut(inputs, batch) {
  const counts = new Set(Object.values(inputs).map(({dims}) => dims[0]));
  if (counts.size !== 1 || counts.has(undefined) || counts.has(0))
    throw new InputError(`--batch needs inputs of one first dimension, they have ${[...counts].join(', ')}`);
  const images = [...counts][0], pieces = [];
  for (let from = 0; from < images; from += batch) {
    const count = Math.min(batch, images - from);
    pieces.push(Object.fromEntries(Object.entries(inputs).map(([name, {type, dims, data}]) => {
      const size = data.length / images;
      return [name, {type, dims: [count, ...dims.slice(1)],
                     data: data.subarray(from * size, (from + count) * size), count}];
    })));
  }
  return pieces;
}

function stack(name, tensors, pieces) {
  if (tensors.length === 1) return tensors[0];
  tensors.forEach(({dims}, i) => {
    const {count} = Object.values(pieces[i])[0];
    if (dims[0] !== count || String(dims.slice(1)) !== String(tensors[0].dims.slice(1)))
      throw new InputError(`output ${name} of ${count} images has shape [${dims}]: it cannot be stacked`);
  });
  const data = new tensors[0].data.constructor(tensors.reduce((sum, one) => sum + one.data.length, 0));
  let start = 0;
  for (const one of tensors) {
    data.set(one.data, start);
    start += one.data.length;
  }
  const images = tensors.reduce((sum, one) => sum + one.dims[0], 0);
  return {type: tensors[0].type, dims: [images, ...tensors[0].dims.slice(1)], data};
}

function write_outputs(outputs, {out, format}) {
  mkdirSync(out, {recursive: true});
  Object.entries(outputs).forEach(([name, tensor], index) => {
    const files = [];
    if (format !== 'pb')
      files.push([`${name.replace(/[^\w.-]/g, '_')}.npy`, () => write_npy(tensor)]);
    if (format !== 'npy')
      files.push([`output_${index}.pb`, () => write_tensor_proto({name, ...tensor})]);
    for (const [file, bytes] of files) writeFileSync(path.join(out, file), bytes());
    console.log(`${name}: ${tensor.type} [${tensor.dims.join(', ')}] in ` +
                files.map(([file]) => path.join(out, file)).join(', '));
  });
}

async function main() {
  let options;
  await about('run_model.mjs', () => { options = parse(process.argv.slice(2)); });
  if (options.help) return console.log(kUsage);
  const ort = load_runtime(options.oracle);
  await about(options.model, () => { readFileSync(options.model); });
  const session = await about(options.model, () => ort.InferenceSession.create(
      options.model, {executionProviders: ['cpu'], graphOptimizationLevel: options.optimization,
                      intraOpNumThreads: options.threads, interOpNumThreads: 1, logSeverityLevel: 4}));
  const inputs = read_inputs(options.input, session.inputNames);
  const pieces = options.batch === undefined ? [inputs] : cut(inputs, options.batch);
  const feeds = pieces.map((piece) => Object.fromEntries(Object.entries(piece).map(
      ([name, {type, data, dims}]) => [name, new ort.Tensor(type, data, dims)])));
  const run = (feed) => about(options.model, () => session.run(feed));

  const parts = [];
  for (const feed of feeds) parts.push(await run(feed));
  if (options.out !== undefined) {
    const outputs = {};
    for (const name of session.outputNames) outputs[name] = stack(name, parts.map((part) => part[name]), pieces);
    await about(options.out, () => write_outputs(
        Object.fromEntries(Object.entries(outputs).map(([name, {type, dims, data}]) =>
          [name, {type, dims: [...dims], data}])), options));
  }
  if (options.repeat === undefined) return;
  const images = Object.values(inputs)[0]?.dims[0] ?? 1;
  const rates = [];
  for (let i = 0; i < options.repeat; ++i) {
    const start = process.hrtime.bigint();
    for (const feed of feeds) await run(feed);
    rates.push(images * 1e9 / Number(process.hrtime.bigint() - start));
  }
  rates.sort((a, b) => a - b);
  const median = rates[Math.floor(rates.length / 2)];
  console.log(`${images} images, batch ${options.batch ?? images}, ${options.threads} threads, ` +
              `${options.repeat} runs: median ${median.toFixed(1)}, best ${rates.at(-1).toFixed(1)} images/s`);
}

main().catch((error) => {
  if (!(error instanceof InputError)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
});
