// Where ONNX Runtime is, and errors that are the caller's.
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

export const kTree = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

export class InputError extends Error {}
export const one_line = (error) => String(error.message ?? error).replace(/\s*\n\s*/g, ' ');

// From the folder where scripts/install-onnxruntime put it.
export function load_runtime(folder) {
  try {
    return createRequire(path.resolve(folder, 'package.json'))('onnxruntime-node');
  } catch (error) {
    throw new InputError(`${folder}: ONNX Runtime does not load (${one_line(error).slice(0, 160)}); ` +
                         `run scripts/install-onnxruntime`);
  }
}
