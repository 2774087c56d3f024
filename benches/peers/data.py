"""The files that every contender reads, made once and always the same.

data.py FOLDER WORKLOAD... writes `<workload>-features.npy` and `<workload>-labels.npy`. The label
of a row is its index as an int64, so a batch can be checked against it.
"""

import gzip
import os
import sys
from dataclasses import dataclass

FASHION_MNIST = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"


@dataclass(frozen=True)
class Workload:
    """An array of `rows` rows of shape `row`; a batch is float32, and u8 is divided by 255."""

    rows: int
    row: tuple
    dtype: str


WORKLOADS = {
    "mnist": Workload(60_000, (28, 28), "u1"),
    "table": Workload(1_000_000, (10,), "f8"),
    "images": Workload(20_000, (3, 64, 64), "u1"),
    "rows": Workload(4_000, (3, 224, 224), "f4"),
}


def paths(folder, name):
    """The files of the features and of the labels."""
    return [f"{folder}/{name}-{part}.npy" for part in ("features", "labels")]


def fill(name, out):
    """Fills `out` with Fashion-MNIST if Debian's package is installed, else with random values."""
    import numpy as np

    if name == "mnist" and os.path.exists(FASHION_MNIST):
        with gzip.open(FASHION_MNIST) as file:
            out[:] = np.frombuffer(file.read(), np.uint8, offset=16).reshape(out.shape)
        return
    random = np.random.default_rng(list(WORKLOADS).index(name))
    step = max(1, (32 << 20) // (out.nbytes // len(out)))
    for start in range(0, len(out), step):
        part = out[start : start + step]
        if part.dtype == np.uint8:
            part[:] = random.integers(0, 256, part.shape, dtype=np.uint8)
        else:
            part[:] = random.random(part.shape, dtype=part.dtype)


def make(folder, name):
    """Writes the files of a workload, unless they are there."""
    import numpy as np

    features, labels = paths(folder, name)
    if os.path.exists(features) and os.path.exists(labels):
        return
    workload = WORKLOADS[name]
    np.save(labels, np.arange(workload.rows, dtype=np.int64))
    # Under another name until it is whole.
    shape = (workload.rows, *workload.row)
    out = np.lib.format.open_memmap(features + ".part", "w+", np.dtype(workload.dtype), shape)
    fill(name, out)
    out.flush()
    os.rename(features + ".part", features)


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    for name in names:
        make(folder, name)
