"""NumPy's verdict on each file that comes in: what arrays there are, or null.

Files and answers come with their length before them, as four bytes.
"""

import io
import json
import pathlib
import resource
import struct
import sys
import warnings
import zlib

import ml_dtypes  # noqa: F401  # NumPy reads the names of its dtypes from then on.
import numpy as np

sys.path.append(str(pathlib.Path(__file__).parents[3] / "tests/numpy"))
from roundtrip import leaves, numbers  # noqa: E402


def describe(name, array):
    """Checksums of the numbers of each part; opaque parts are left out."""
    parts = [
        [leaf, zlib.crc32(numbers(part).tobytes())]
        for leaf, part in leaves(array)
        if part.dtype.type is not np.void
    ]
    return [name, array.dtype.itemsize, list(array.shape), parts]


def is_canonical(data, array):
    """Whether the header is the one that NumPy would write for the array."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(data[6], data[7]))
    return file.getvalue() == data


def load(data):
    if not data.startswith(b"PK"):
        if not data.startswith(b"\x93NUMPY"):
            return None, False
        array = np.load(io.BytesIO(data), allow_pickle=False)
        return [describe("", array)], is_canonical(data, array)
    arrays = []
    with np.load(io.BytesIO(data), allow_pickle=False) as npz:
        for name in npz.zip.namelist():
            # What a Mac adds is no array to burn-npy.
            mac = name.startswith("__MACOSX/") or name.split("/")[-1].startswith("._")
            if name[-4:].lower() != ".npy" or mac:
                continue
            array = npz[name]
            if not isinstance(array, np.ndarray):
                return None, False
            arrays.append(describe(name.removesuffix(".npy"), array))
    return arrays, False


def main():
    warnings.simplefilter("ignore")
    # A file may announce more than there is memory.
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    while head := sys.stdin.buffer.read(4):
        data = sys.stdin.buffer.read(struct.unpack("<I", head)[0])
        answer = {"arrays": None, "canonical": False, "error": ""}
        try:
            answer["arrays"], answer["canonical"] = load(data)
        except Exception as error:
            answer["error"] = str(error)
        answer = json.dumps(answer).encode()
        sys.stdout.buffer.write(struct.pack("<I", len(answer)) + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
