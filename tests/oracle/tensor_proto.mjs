// ONNX's TensorProto (.pb): the fields dims 1, data_type 2, name 8, raw_data 9 and the typed data fields.
// Written as the ONNX backend tests are: raw_data, fields in ascending order, dims not packed.
import {bytes_of, count_of, elements} from './npy.mjs';

// data_type -> [type, typed array, field that holds the elements when raw_data does not]
const kTypes = {
  1: ['float32', Float32Array, 4], 2: ['uint8', Uint8Array, 5], 3: ['int8', Int8Array, 5],
  4: ['uint16', Uint16Array, 5], 5: ['int16', Int16Array, 5], 6: ['int32', Int32Array, 5],
  7: ['int64', BigInt64Array, 7], 9: ['bool', Uint8Array, 5], 10: ['float16', Uint16Array, 5],
  11: ['float64', Float64Array, 10], 12: ['uint32', Uint32Array, 11], 13: ['uint64', BigUint64Array, 11],
};
const kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;  // protobuf's wire types

// [value as BigInt, position after it]
function read_varint(bytes, position) {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    if (position >= bytes.length) throw new Error('ends within a number');
    const byte = bytes[position++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [BigInt.asIntN(64, value), position];
  }
  throw new Error('holds a number of more than 64 bits');
}

// Calls visit(field, wire type, BigInt or bytes) for every field of a message.
function for_each_field(bytes, visit) {
  for (let position = 0; position < bytes.length;) {
    let tag, value;
    [tag, position] = read_varint(bytes, position);
    const wire = Number(tag & 7n);
    if (wire === kVarint) {
      [value, position] = read_varint(bytes, position);
    } else {
      let size = BigInt({[kFixed64]: 8, [kFixed32]: 4}[wire] ?? -1);
      if (wire === kBytes) [size, position] = read_varint(bytes, position);
      if (size < 0n || size > BigInt(bytes.length - position))
        throw new Error('is not an ONNX TensorProto');
      value = bytes.subarray(position, position + Number(size));
      position += Number(size);
    }
    visit(Number(tag >> 3n), wire, value);
  }
}

// A repeated integer: one element, or many packed.
function integers(wire, value) {
  if (wire === kVarint) return [value];
  const all = [];
  for (let position = 0; position < value.length;) {
    let one;
    [one, position] = read_varint(value, position);
    all.push(one);
  }
  return all;
}

export function read_tensor_proto(bytes) {
  const dims = [], typed = {};
  let data_type = 0, name = '', raw = null;
  for_each_field(bytes, (field, wire, value) => {
    if (field === 1) dims.push(...integers(wire, value).map(Number));
    else if (field === 2) data_type = Number(value);
    else if (field === 8) name = value.toString('utf8');
    else if (field === 9) raw = value;
    else if (field === 13 || field === 14) throw new Error('keeps its data in another file');
    else if (field === 4 || field === 10) (typed[field] ??= []).push(value);
    else if (field === 5 || field === 7 || field === 11)
      typed[field] = (typed[field] ?? []).concat(integers(wire, value));
  });
  if (!(data_type in kTypes))
    throw new Error(`has data type ${data_type}, known: ${Object.keys(kTypes).join(' ')}`);
  const [type, TypedArray, field] = kTypes[data_type];
  const count = count_of(dims);
  if (raw === null && (field === 4 || field === 10)) raw = Buffer.concat(typed[field] ?? []);
  if (raw !== null) return {name, type, dims, data: elements(TypedArray, raw, 0, count)};
  const values = typed[field] ?? [];
  if (values.length !== count)
    throw new Error(`has ${values.length} elements, its shape needs ${count}`);
  const big = TypedArray === BigInt64Array || TypedArray === BigUint64Array;
  return {name, type, dims, data: TypedArray.from(big ? values : values.map(Number))};
}

function varint(value) {
  const bytes = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}

export function write_tensor_proto({name, type, dims, data}) {
  const found = Object.entries(kTypes).find(([, [known]]) => known === type);
  if (!found) throw new Error(`element type ${type} has no TensorProto form here`);
  const tag = (field, wire) => varint(field * 8 + wire);
  const bytes_field = (field, bytes) => [tag(field, kBytes), varint(bytes.length), bytes];
  return Buffer.concat([
    ...dims.flatMap((dim) => [tag(1, kVarint), varint(dim)]), tag(2, kVarint), varint(found[0]),
    ...bytes_field(8, Buffer.from(name, 'utf8')), ...bytes_field(9, bytes_of(data))]);
}
