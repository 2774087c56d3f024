"""How the files are made in NumPy.

Run `python examples/save.py` in an empty folder. burn-npy then opens them with
`NpyDataset::open("table.npy")`, `NpyDataset::open("digits.npz")` and so on.
"""

import os

import numpy as np

rng = np.random.default_rng(42)


# One array is a `.npy` file. Its first axis is that of the rows, in all files. A table in C order,
# the default, has the numbers of a row beside each other, so a row is read at once. An array that
# came by a transpose or from pandas may be in Fortran order, which loads more slowly.
table = np.asfortranarray(rng.normal(size=(1000, 10)))
np.save("table.npy", np.ascontiguousarray(table, dtype=np.float32))


# Several arrays with the same number of rows are a `.npz` file. Each is a column, named by its
# keyword. `np.savez` stores them as they are, and they are used where they lie in the file.
# `np.savez_compressed` makes a smaller file, which is decoded into memory when it is opened.
#
# Dtypes: the smallest that has all values. Images stay `uint8`: they take a quarter of the disk and
# the memory, and `Convert::to::<f32>().divide(255.0)` converts them in the batch. Labels may be of
# any integer dtype. Features are `float32`: models compute in it, and a `float64` file takes twice
# as long to read. An array of Python objects, such as a list of lists of several lengths, is
# refused: pad the rows to one length and save the lengths as another array.
images = rng.integers(0, 256, size=(1000, 28, 28), dtype=np.uint8)
labels = rng.integers(0, 10, size=1000, dtype=np.uint8)
np.savez("digits.npz", images=images, labels=labels)


# An array that does not fit into memory is written part by part. `open_memmap` makes a whole `.npy`
# file, with its header; `np.memmap` alone makes one without.
large = np.lib.format.open_memmap(
    "large.new.npy", mode="w+", dtype=np.float32, shape=(100_000, 16)
)
for start in range(0, len(large), 10_000):
    large[start : start + 10_000] = rng.normal(size=(10_000, 16))
large.flush()
del large

# A file gets its name when it is complete. A training that starts meanwhile finds the old file or
# the new one, never a half. One that uses the old file ends with an error. `np.save` over the old
# file could kill it.
os.replace("large.new.npy", "large.npy")


for name in ["table.npy", "large.npy"]:
    array = np.load(name, mmap_mode="r")
    print(name, array.dtype, array.shape, "C order:", array.flags.c_contiguous)
with np.load("digits.npz") as arrays:
    for name in arrays.files:
        print("digits.npz:", name, arrays[name].dtype, arrays[name].shape)
