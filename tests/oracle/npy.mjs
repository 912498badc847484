// NumPy's .npy, format 1.0 written, 1.0 to 3.0 read: little-endian, C order.
// A tensor here and in tensor_proto.mjs is {type, dims, data}: ONNX Runtime's name of the element type,
// the shape, and a typed array over exactly its elements.

// descr of .npy -> [type, typed array]
const kTypes = {
  '<f4': ['float32', Float32Array], '<f8': ['float64', Float64Array], '<f2': ['float16', Uint16Array],
  '|u1': ['uint8', Uint8Array], '|i1': ['int8', Int8Array], '|b1': ['bool', Uint8Array],
  '<u2': ['uint16', Uint16Array], '<i2': ['int16', Int16Array], '<u4': ['uint32', Uint32Array],
  '<i4': ['int32', Int32Array], '<u8': ['uint64', BigUint64Array], '<i8': ['int64', BigInt64Array],
};

// The elements of `bytes` from `start`; copied, since a typed array has to be aligned.
export function elements(TypedArray, bytes, start, count) {
  const size = count * TypedArray.BYTES_PER_ELEMENT;
  if (bytes.length - start !== size)
    throw new Error(`has ${bytes.length - start} bytes of data, its shape and type need ${size}`);
  return new TypedArray(new Uint8Array(bytes.subarray(start, start + size)).buffer);
}

export const bytes_of = (data) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
export const count_of = (dims) => dims.reduce((product, dim) => product * dim, 1);

export function read_npy(bytes) {
  if (bytes.length < 10 || bytes.toString('latin1', 0, 6) !== '\x93NUMPY')
    throw new Error('is not a .npy file');
  const start = bytes[6] === 1 ? 10 : 12;
  const end = start + (bytes[6] === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8));
  const header = bytes.toString('latin1', start, end);
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  if (descr === undefined || shape === undefined || !/'fortran_order':\s*False/.test(header))
    throw new Error(`has an unsupported header: ${header.trim()}`);
  if (!(descr in kTypes))
    throw new Error(`has element type ${descr}, known: ${Object.keys(kTypes).join(' ')}`);
  const [type, TypedArray] = kTypes[descr];
  const dims = shape.split(',').map((dim) => dim.trim()).filter((dim) => dim !== '').map(Number);
  return {type, dims, data: elements(TypedArray, bytes, end, count_of(dims))};
}

export function write_npy({type, dims, data}) {
  const found = Object.entries(kTypes).find(([, [name]]) => name === type);
  if (!found) throw new Error(`element type ${type} has no .npy form`);
  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(', ');
  let header = `{'descr': '${found[0]}', 'fortran_order': False, 'shape': (${shape}), }`;
  header += ' '.repeat(63 - (10 + header.length) % 64) + '\n';  // data starts at a multiple of 64
  const start = Buffer.alloc(10);
  start.write('\x93NUMPY\x01\x00', 'latin1');
  start.writeUInt16LE(header.length, 8);
  return Buffer.concat([start, Buffer.from(header, 'latin1'), bytes_of(data)]);
}
