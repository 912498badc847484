"""What happens in the accumulators of a layer: exact sums, and P bits wide ones that wrap or saturate.

Canonical order: the accumulator starts from the bias (0 without one), fitted but not counted; then one addition
per reduction index, in the order input channel of the group (slowest), kernel row, kernel column (fastest); a
matmul's k ascending. A product is (x - x_zero) * (w - w_zero); a padded tap takes part and adds 0. After every
addition the sum is fitted: modulo 2^P, or clamped. An overflow is an addition whose sum does not fit.
"""
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Mac:
    """One layer. terms[k, output...] are its products in canonical order, initial[output...] its bias."""

    node: str
    terms: np.ndarray
    initial: np.ndarray
    final: np.ndarray = field(init=False)

    def __post_init__(self):
        self.initial = np.broadcast_to(np.int64(self.initial), self.terms.shape[1:])
        self.final = self.initial + self.terms.sum(0)

    def bounds(self):
        """The least and greatest sum after any addition."""
        sums = self.initial + np.cumsum(self.terms, 0)
        return int(sums.min()), int(sums.max())


def windows(x, kernel, strides, pads, dilations, fill=0):
    """x[N, C, spatial...] -> [N, C, kernel..., ofmap spatial...]; the padding is `fill`."""
    rank = len(kernel)
    x = np.pad(x, [(0, 0), (0, 0)] + [(pads[i], pads[rank + i]) for i in range(rank)], constant_values=fill)
    for i in range(rank):
        axis = 2 + 2 * i  # the kernel axes made so far alternate with the spatial ones
        reach = (kernel[i] - 1) * dilations[i] + 1
        starts = np.arange(0, x.shape[axis] - reach + 1, strides[i])
        taps = np.arange(kernel[i])[:, None] * dilations[i]
        x = np.take(x, taps + starts, axis=axis)
    return np.moveaxis(x, [2 + 2 * i for i in range(rank)], range(2, 2 + rank))


def conv_terms(x, w, group, strides, pads, dilations):
    """x[N, C, spatial...], w[M, C/group, kernel...] -> [K, N, M, ofmap spatial...]."""
    kernel = w.shape[2:]
    taps = windows(x, kernel, strides, pads, dilations)
    batch, ofmap = x.shape[0], taps.shape[2 + len(kernel) :]
    taps = taps.reshape(batch, group, 1, -1, int(np.prod(ofmap)))
    weights = w.reshape(1, group, w.shape[0] // group, -1, 1)
    products = np.moveaxis(taps * weights, 3, 0)  # [K, N, group, M/group, ofmap]
    return products.reshape(products.shape[0], batch, w.shape[0], *ofmap)


def matmul_terms(a, b):
    """a[..., M, K], b[..., K, N] -> [K, ..., M, N]."""
    rank = max(a.ndim, b.ndim)
    a, b = (v.reshape((1,) * (rank - v.ndim) + v.shape) for v in (a, b))
    return np.moveaxis(a, -1, 0)[..., :, None] * np.moveaxis(b, -2, 0)[..., None, :]


def fit(sums, bits, mode):
    half = 1 << (bits - 1)
    return (sums + half) % (2 * half) - half if mode == "wrap" else np.clip(sums, -half, half - 1)


def simulate(mac, bits, mode):
    """(final values, additions that overflowed, outputs that saw one) of `mode` wrap or sat at `bits`."""
    sums = fit(mac.initial, bits, mode)
    overflows = np.zeros(sums.shape, np.int64)
    for term in mac.terms:
        exact = sums + term
        sums = fit(exact, bits, mode)
        overflows += exact != fit(exact, bits, "sat")
    return sums, int(overflows.sum()), int((overflows > 0).sum())


def signed_bits(low, high):
    """The least P >= 1 with -2^(P-1) <= low and high <= 2^(P-1) - 1."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0) + 1
