"""Writes random arrays, and what NumPy itself makes of them, into a folder.

Each column `x` comes with `x_expected.npy`: the rows as a batch should hold them. The column `id`
numbers the rows, so that a reader can tell which row it has got, whatever the order.
"""

import pathlib
import sys

import numpy as np

folder = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(int(sys.argv[2]))
rows = 503

columns = {
    "id": np.arange(rows, dtype="<i8"),
    "images": rng.integers(0, 256, (rows, 3, 6, 5), dtype=np.uint8),
    "table": np.asfortranarray(rng.normal(size=(rows, 10))),
    "signed": rng.integers(-(2**31), 2**31, (rows, 4)).astype(">i4"),
    "half": rng.normal(size=(rows, 7)).astype("<f2"),
    "flag": rng.integers(0, 2, (rows, 2)).astype(bool),
}

mean = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
std = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
images = columns["images"].astype(np.float32) / np.float32(255)
expected = {
    "id": columns["id"],
    "images": (images - mean) / std,
    "table": columns["table"].astype(np.float32) * np.float32(0.5) + np.float32(3),
    "signed": columns["signed"].astype("<i8"),
    "half": columns["half"].astype(np.float32),
    "flag": columns["flag"],
}

for name, array in columns.items():
    np.save(folder / f"{name}.npy", array)
for name, array in expected.items():
    np.save(folder / f"{name}_expected.npy", np.ascontiguousarray(array))
np.savez(folder / "stored.npz", **columns)
np.savez_compressed(folder / "deflated.npz", **columns)
print(np.__version__)
