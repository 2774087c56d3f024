"""Writes values that an integer may not have, and prints what becomes of them.

    labels.py FOLDER

FOLDER/<from>.npy has the values of a dtype. For each of them and each integer dtype, a line has:
from, to, index, value, what NumPy's `astype` gives, and what Python's integers say that `cast`,
`saturating_cast`, `round` and `trunc` before `cast`, and `wrapping_cast` must give, `error` if the
value cannot be kept.
"""

import math
import pathlib
import sys

import numpy as np

folder = pathlib.Path(sys.argv[1])
integers = [np.dtype(f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
floats = [np.dtype(f"float{bits}") for bits in (16, 32, 64)]


def values(dtype):
    if dtype.kind == "b":
        return np.array([False, True])
    ends = [end for to in integers for end in (np.iinfo(to).min, np.iinfo(to).max)]
    near = {0, 1, -1, 7} | {end + by for end in ends for by in (-1, 0, 1)}
    if dtype.kind in "iu":
        here = np.iinfo(dtype)
        return np.array(sorted(x for x in near if here.min <= x <= here.max), dtype)
    some = [math.nan, math.inf, -math.inf, 0.5, 1.5, 2.5, -0.5, -1.5, 0.1, -0.0, 1e-7, 1e300]
    with np.errstate(over="ignore"):
        return np.unique(np.array(some + [float(x) for x in near], np.float64).astype(dtype))


def cast(value, to, out_of_range="error"):
    """The integer of a number."""
    end = np.iinfo(to)
    if isinstance(value, float):
        if math.isinf(value) and out_of_range == "saturate":
            return end.max if value > 0 else end.min
        if not value.is_integer():
            return "error"
    whole = int(value)
    if out_of_range == "saturate":
        return min(max(whole, end.min), end.max)
    if out_of_range == "wrap":
        return (whole - end.min) % 2**end.bits + end.min
    return whole if end.min <= whole <= end.max else "error"


def changed(value, change):
    if isinstance(value, float) and math.isfinite(value):
        return float(change(value))
    return value


for of in [np.dtype(bool), *integers, *floats]:
    array = values(of)
    np.save(folder / f"{of}.npy", array)
    for to in integers:
        with np.errstate(all="ignore"):
            numpys = array.astype(to)
        for index, (value, numpy) in enumerate(zip(array.tolist(), numpys.tolist())):
            number = int(value) if of.kind == "b" else value
            results = [
                cast(number, to),
                cast(number, to, "saturate"),
                cast(changed(number, round), to),
                cast(changed(number, math.trunc), to),
                "refused" if of.kind == "f" else cast(number, to, "wrap"),
            ]
            print(of, to, index, repr(value), numpy, *results)
