"""ONNX tensors and their numpy arrays, with the 4-bit types that python3-onnx 1.12 does not know."""
import numpy as np
from onnx import TensorProto

FLOAT, UINT8, INT8, UINT16, INT16, INT32, INT64, BOOL = 1, 2, 3, 4, 5, 6, 7, 9
UINT4, INT4 = 21, 22  # a code is one element of a uint8 or int8 array here

DTYPES = {
    FLOAT: np.float32, UINT8: np.uint8, INT8: np.int8, UINT16: np.uint16, INT16: np.int16,
    INT32: np.int32, INT64: np.int64, BOOL: np.bool_, UINT4: np.uint8, INT4: np.int8,
}  # fmt: skip
RANGES = {
    UINT4: (0, 15), INT4: (-8, 7), UINT8: (0, 255), INT8: (-128, 127), UINT16: (0, 65535),
    INT16: (-32768, 32767), INT32: (-(2**31), 2**31 - 1),
}  # fmt: skip


def type_of(array):
    """The ONNX type of a numpy array; never a 4-bit one."""
    return next(t for t, dtype in DTYPES.items() if array.dtype == dtype)


def to_proto(name, array, onnx_type=None):
    onnx_type = onnx_type or type_of(array)
    proto = TensorProto()
    proto.name, proto.data_type = name, onnx_type
    proto.dims.extend(array.shape)
    codes = np.ascontiguousarray(array, DTYPES[onnx_type])
    if onnx_type in (UINT4, INT4):  # two a byte, low nibble first; an odd last one alone
        nibbles = np.append(codes.reshape(-1), np.zeros(codes.size % 2, codes.dtype)) & 15
        codes = (nibbles[0::2] | nibbles[1::2] << 4).astype(np.uint8)
    proto.raw_data = codes.tobytes()
    return proto


def from_proto(proto):
    shape = tuple(proto.dims)
    if proto.data_type in (UINT4, INT4):
        packed = np.frombuffer(proto.raw_data, np.uint8)
        codes = np.stack([packed & 15, packed >> 4], -1).reshape(-1)[: int(np.prod(shape))]
        if proto.data_type == INT4:
            codes = (codes ^ 8).astype(np.int8) - 8
        return codes.astype(DTYPES[proto.data_type]).reshape(shape)
    return np.frombuffer(proto.raw_data, DTYPES[proto.data_type]).reshape(shape)


def read_pb(path):
    proto = TensorProto()
    proto.ParseFromString(path.read_bytes())
    return from_proto(proto)
