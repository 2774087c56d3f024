"""Random arrays, from NumPy to burn-npy and back again, compared bit for bit.

    python tests/numpy/roundtrip.py [--arrays 2000] [--seed 1]

NumPy writes arrays of random dtype, byte order, layout, shape, format version and kind of file. The
example `roundtrip` reads each as a whole and row by row, and writes it again: to an archive, and to
a file by appending rows. NumPy reads both and compares elements, `array[rows]`, dtype and shape.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
PLAIN = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
SIZED = ["S1", "S5", "U1", "U4", "M8[ns]", "M8[D]", "m8[25us]"]


def random_dtype(rng, depth=0):
    kind = rng.random()
    if kind < (0.2 if depth == 0 else 0.25) and depth < 3:
        fields = []
        for index in range(rng.integers(1, 5)):
            shape = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3)))
            fields.append((f"f{index}", random_dtype(rng, depth + 1), shape))
        return np.dtype(fields, align=bool(rng.integers(2)))
    names = PLAIN if kind < 0.8 else SIZED
    return np.dtype(str(rng.choice(["<", ">"])) + str(rng.choice(names)))


def random_array(rng):
    dtype = random_dtype(rng)
    lengths, odds = [0, 1, 2, 3, 5, 7], [0.05, 0.15, 0.2, 0.2, 0.2, 0.2]
    shape = tuple(int(n) for n in rng.choice(lengths, rng.integers(0, 5), p=odds))
    if rng.random() < 0.05:
        shape = (int(rng.integers(1, 5000)),) + shape[:1]
    count = int(np.prod(shape, dtype=int))
    array = np.frombuffer(rng.bytes(count * dtype.itemsize), dtype).reshape(shape).copy()
    for leaf, part in leaves(array):
        if part.dtype == bool:
            # Any byte but 0 and 1 is not a bool that NumPy itself would write.
            part[...] = rng.integers(0, 2, part.shape).astype(bool)
        elif part.dtype.kind == "U":
            part[...] = rng.choice(["", "a", "\u00e9t\u00e9", "\U0001f600b"], part.shape)
    return np.asfortranarray(array) if rng.random() < 0.4 else array


def leaves(array, name=""):
    """The fields that are no structures, named as burn-npy names them."""
    if array.dtype.names is None:
        yield name, array
        return
    for field in array.dtype.names:
        yield from leaves(array[field], f"{name}.{field}" if name else field)


def numbers(array):
    """The array in the machine's byte order, with items of several numbers as a last axis."""
    array = np.array(array, array.dtype.newbyteorder("="), order="C")
    kind, size = array.dtype.kind, array.dtype.itemsize
    base = {"c": f"f{size // 2}", "S": "u1", "U": "u4", "M": "i8", "m": "i8"}.get(kind)
    if base is None:
        return array
    last = (size // np.dtype(base).itemsize,) if kind in "cSU" else ()
    return np.frombuffer(array.tobytes(), base).reshape(array.shape + last)


def write(rng, folder, number):
    """Writes a file, and gives its arrays with what burn-npy is to do with them."""
    kind = rng.choice(["npy", "npz", "deflated"], p=[0.6, 0.2, 0.2])
    if kind == "npy":
        array = random_array(rng)
        version = [(1, 0), (2, 0), (3, 0), None][rng.integers(4)]
        with open(folder / f"{number}.npy", "wb") as file:
            np.lib.format.write_array(file, array, version=version)
        arrays = {None: array}
    else:
        arrays = {f"a{index}": random_array(rng) for index in range(rng.integers(1, 4))}
        save = np.savez if kind == "npz" else np.savez_compressed
        save(folder / f"{number}.npz", **arrays)
    for member, array in arrays.items():
        rows = []
        if array.ndim and len(array):
            rows = rng.integers(0, len(array), rng.integers(0, 12)).tolist()
        file = f"{number}.npy" if member is None else f"{number}.npz"
        yield array, {"file": file, "member": member, "rows": rows}


def differences(folder, number, array, rows):
    with np.load(folder / f"{number}.out.npz") as out:
        for name, leaf in leaves(array):
            expected = numbers(leaf)
            with open(folder / f"{number}.{name}.npy", "rb") as file:
                appended = np.load(file)
            for what, found in [("archive", out[f"{name}.all"]), ("appended", appended)]:
                if found.dtype != expected.dtype or found.shape != expected.shape:
                    yield f"{what} {name}: {found.dtype} {found.shape}"
                elif found.tobytes() != expected.tobytes():
                    yield f"{what} {name}: other elements"
            if array.ndim and out[f"{name}.rows"].tobytes() != expected[rows].tobytes():
                yield f"rows {rows} of {name}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arrays", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        arrays, jobs = [], []
        while len(jobs) < args.arrays:
            for array, job in write(rng, folder, len(jobs)):
                arrays.append(array)
                jobs.append(job)
        (folder / "jobs.json").write_text(json.dumps(jobs))
        command = "cargo run -q -p burn-npy-core --example roundtrip --".split()
        subprocess.run([*command, folder], cwd=ROOT, check=True)
        found = 0
        for number, (array, job) in enumerate(zip(arrays, jobs)):
            for difference in differences(folder, number, array, job["rows"]):
                found += 1
                print(f"{job}: {array.dtype} {array.shape}: {difference}")
        print(f"{len(jobs)} arrays, {found} differences")
        return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
