#!/usr/bin/env python3
"""Writes arrays into FOLDER, and what NumPy's own functions make of them.

NumPy is all it needs. tests/integration/numpy.rs compares burn-npy with what it writes.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

folder = Path(sys.argv[1])
rng = np.random.default_rng(3)


def save(name, array):
    np.save(folder / f"{name}.npy", array)


def windows(x, length, dilation, stride, first=0, span=None):
    """Windows of `length` rows along a new axis 1, of those that have `span` rows."""
    span = span or (length - 1) * dilation + 1
    whole = np.moveaxis(sliding_window_view(x, span, axis=0), -1, 1)[::stride]
    return whole[:, first : first + (length - 1) * dilation + 1 : dilation]


x = rng.integers(-1000, 1000, (60, 3)).astype(np.int32)
save("x", x)
save("past", windows(x, 5, 2, 3, span=19))
# A horizon of 3 steps after a gap of 2, in steps of two rows.
save("future", windows(x, 3, 2, 3, first=14, span=19))
save("tokens", windows(x, 8, 1, 8, span=9))
save("tokens_next", windows(x, 8, 1, 8, first=1, span=9))
ends = np.cumsum([10, 3, 0, 30, 17])
save("ends", ends)
parts = [part for part in np.split(x, ends[:-1]) if len(part) >= 6]
save("within", np.concatenate([windows(part, 6, 1, 2) for part in parts]))

images = rng.integers(0, 256, (20, 8, 6, 3)).astype(np.uint8)
save("images", images)
save("channels_first", images.transpose(0, 3, 1, 2))
save("fortran", np.asfortranarray(images))
save("along_last", np.moveaxis(images, -1, 0))

images.astype(">u2").tofile(folder / "raw.bin")
save("raw", images.astype(np.uint16))

fields = np.zeros(20, [("t", "<f8"), ("p", "<f8"), ("w", "<f8", (3,)), ("label", "u1")])
for name in ["t", "p", "w"]:
    fields[name] = rng.random(fields[name].shape)
save("fields", fields)
save("features", np.column_stack([fields["t"], fields["p"], fields["w"]]))
save("some", np.column_stack([fields["w"], fields["t"]]))
