#!/usr/bin/env python3
"""Files as programs other than NumPy write them, and what a reader must make of each.

`make.py` writes `files/` and `expectations.json` beside it. `make.py --check` writes nothing and
fails if they are not what it would write.

Each writer has a function that makes its header, or its archive, byte for byte. The comment above
it names the source that it follows. The expected dtype, shape and values come from the source
array, and `np.load` must say the same; where NumPy refuses a file, the case says with which
exception.
The fields of `expectations.json` are those of `../corpus/expectations.json`.

Needs NumPy and the standard library. Nothing here is random, and no time is read.
"""

import argparse
import bz2
import hashlib
import io
import json
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent

# The local time of all archives that have one: 2001-09-09 01:46:40.
UNIX_TIME = 1_000_000_000
DOS_TIME, DOS_DATE = 0x0DD4, 0x2B29
# The same moment in the unit of Windows, 100 ns since 1601.
WINDOWS_TIME = (UNIX_TIME + 11_644_473_600) * 10_000_000
# Python's zipfile, and Rust's zip by default, write 1980-01-01 00:00:00.
EPOCH_DATE = 0x0021


# ---------------------------------------------------------------------------------------------
# Arrays


def values(dtype, shape):
    """An array whose elements all differ, as far as the dtype can tell them apart."""
    dtype = np.dtype(dtype)
    index = np.arange(int(np.prod(shape, dtype=np.int64)))
    if dtype.kind == "b":
        flat = index % 3 == 0
    elif dtype.kind == "c":
        flat = (index * 0.75 - 1.5) + 1j * (2.25 - index)
    elif dtype.kind == "f":
        flat = index * 0.75 - 1.5
    elif dtype.kind == "i" and dtype.itemsize == 8:
        flat = (index - 2) * ((1 << 40) + 3)
    elif dtype.kind == "i":
        flat = index * 7 - 20
    else:
        flat = index * 7 + 130
    return np.asarray(flat).astype(dtype).reshape(shape)


def data(array, fortran=False):
    return array.tobytes("F" if fortran else "C")


# ---------------------------------------------------------------------------------------------
# Headers


def npy(text, major=1):
    """The bytes before the data, for a header that is padded already."""
    text = text.encode("utf-8" if major == 3 else "latin1")
    length = struct.pack("<H" if major == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([major, 0]) + length + text


def python_tuple(shape):
    """`()`, `(3,)`, `(2, 3)`."""
    return repr(tuple(int(axis) for axis in shape))


def comma_space_tuple(shape):
    """`()`, `(3, )`, `(2, 3, )`."""
    return "(" + "".join(f"{axis}, " for axis in shape) + ")"


def comma_tuple(shape):
    """`()`, `(3,)`, `(2,3,)`."""
    return "(" + "".join(f"{axis}," for axis in shape) + ")"


def python_dict(descr, fortran, shape, end=", }"):
    """What most writers agree on, up to the end of the dictionary."""
    return f"{{'descr': '{descr}', 'fortran_order': {bool(fortran)}, 'shape': {shape}{end}"


def spaces_and_newline(text, align):
    """One to `align` spaces, so also where none are needed."""
    return text + " " * (align - (10 + len(text) + 1) % align) + "\n"


def fewest_spaces_and_newline(text, align):
    """No spaces where none are needed."""
    return text + " " * (-(10 + len(text) + 1) % align) + "\n"


def little(array):
    """The descr of a writer that marks single bytes as little-endian too."""
    return "<" + array.dtype.str[1:]


# cnpy: cnpy.h, create_npy_header and npy_save; cnpy.cpp, map_type.
# RcppCNPy has its own copy: src/cnpy.h, and src/cnpyMod.cpp, npySave.
def cnpy(array, shape=None):
    text = python_dict(little(array), False, python_tuple(array.shape if shape is None else shape))
    # The last of the spaces, of which there is always one, becomes the newline.
    return npy(text + " " * (16 - (10 + len(text)) % 16 - 1) + "\n")


# npy-matlab: constructNPYheader.m; writeNPY.m gives it the size of a MATLAB array, so two axes or
# more, in Fortran order.
def npy_matlab(array, fortran=True, shape=None, big=False):
    descr = (">" if big else "<") + array.dtype.str[1:]
    # A tuple is never closed by a comma.
    axes = ", ".join(str(axis) for axis in (array.shape if shape is None else shape))
    text = python_dict(descr, fortran, f"({axes})")
    return npy(fewest_spaces_and_newline(text, 16))


# NPZ.jl: src/NPZ.jl, npzwritearray. Always in Fortran order.
def npz_jl(array):
    text = python_dict(little(array), True, python_tuple(array.shape))
    # The newline is one of the bytes of the padding: without padding there is none.
    pad = -(10 + len(text)) % 16
    return npy(text + (" " * (pad - 1) + "\n" if pad else ""))


# npyio: npy/npy.go, newHeader (version 2.0); npy/writer.go, writeHeader, dtypeFrom, shapeString.
def npyio(descr, shape):
    text = python_dict(descr, False, python_tuple(shape))
    # As many spaces as there are bytes too many, so that the data starts anywhere.
    return npy(text + " " * ((12 + len(text) + 1) % 16) + "\n", 2)


# gonpy: writer.go, writeHeader. No newline, and the padding of version 2 counts two bytes too few.
def gonpy(array, fortran=False, big=False, major=1):
    descr = (">" if big else "<") + array.dtype.str[1:]
    text = python_dict(descr, fortran, comma_tuple(array.shape), ",}")
    align = 16 if major == 1 else 32
    return npy(text + " " * (align - (10 + len(text)) % align), major)


# xtensor: include/xtensor/io/xnpy.hpp, write_header, build_typestring and dump_npy_stream.
def xtensor(array, fortran=False):
    text = python_dict(array.dtype.str, fortran, python_tuple(array.shape))
    return npy(spaces_and_newline(text, 64))


# libnpy by Leon Merten Lohse: include/npy.hpp, write_header and dtype_map.
def libnpy(array, fortran=False, descr=None, shape=None):
    shape = python_tuple(array.shape) if shape is None else shape
    return npy(spaces_and_newline(python_dict(descr or array.dtype.str, fortran, shape), 16))


# libnpy by Matthew Johnson: include/npy/npy.h, write_npy_header; src/dtype.cpp, to_dtype.
def libnpy_matajoh(array, fortran=False):
    text = python_dict(array.dtype.str, fortran, python_tuple(array.shape))
    return npy(fewest_spaces_and_newline(text, 64))


# MLX: mlx/io/load.cpp, save and dtype_to_array_protocol; mlx/array.cpp, init, for `col_contiguous`.
def mlx(array, fortran, descr=None):
    text = python_dict(descr or array.dtype.str, fortran, comma_space_tuple(array.shape), "}")
    # Counts two bytes too many, and pads by what is too much instead of by what is missing.
    return npy(text + " " * ((12 + len(text) + 1) % 16) + "\n")


def mlx_fortran(array):
    """Whether MLX says that an array in C order is in Fortran order too."""
    return array.size <= 1 or array.size == max(array.shape)


# npyjs: src/index.ts, createPyDescription and dump.
def npyjs(array, shape=None):
    descr = array.dtype.str if array.dtype.str in ("|u1", "|i1") else little(array)
    axes = array.shape if shape is None else shape
    axes = ",".join(str(axis) for axis in axes) + ("," if len(axes) == 1 else "")
    text = f"{{'descr':'{descr}','fortran_order':False,'shape':({axes})}}"
    return npy(text + " " * (8 - (10 + len(text) + 1) % 8) + "\n")


# candle: candle-core/src/npy.rs, Header::to_string and Tensor::write.
# tch: src/tensor/npy.rs, the same.
def candle(array):
    text = python_dict(little(array), False, comma_tuple(array.shape))
    return npy(fewest_spaces_and_newline(text, 16))


# ndarray-npy: src/npy/header.rs, Header::to_bytes; py_literal writes no comma at the end.
def ndarray_npy(array, fortran=False):
    text = python_dict(array.dtype.str, fortran, python_tuple(array.shape), "}")
    return npy(spaces_and_newline(text, 64))


# npyz: src/write.rs, create_dict and determine_required_version_and_pad_header; begin_nd.
def npyz(array, fortran=False):
    text = python_dict(array.dtype.str, fortran, comma_space_tuple(array.shape))
    return npy(fewest_spaces_and_newline(text, 64))


# npyz: src/write.rs, shape_suffix_1d; begin_1d, which does not know the length and leaves room.
# npy-rs: src/out_file.rs, create_header and close_: the same with other figures.
def npyz_1d(descr, length, room=20, align=64):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': ("
    text += f"{length},), }}" + " " * (room - len(str(length)))
    return npy(fewest_spaces_and_newline(text, align))


# Fortran's stdlib: src/io/stdlib_io_npy_save.fypp, npy_header and shape_str; stdlib_io_npy.fypp.
def fortran_stdlib(array, descr=None):
    text = python_dict(descr or little(array), True, comma_space_tuple(array.shape))
    return npy(spaces_and_newline(text, 64))


# numir (D, mir): source/numir/io.d, npyHeader and saveNpy. No padding at all.
def numir(array):
    return npy(python_dict(little(array), False, python_tuple(array.shape)) + "\n")


# npy of JetBrains Research (Kotlin): src/main/kotlin/org/jetbrains/bio/npy/Npy.kt, Header.
def npy_kotlin(array):
    axes = ",".join(str(axis) for axis in array.shape)
    text = python_dict(array.dtype.str, False, f"({axes}, )", "}")
    return npy(spaces_and_newline(text, 16))


# DJL (Java): api/src/main/java/ai/djl/ndarray/NDSerializer.java, encodeAsNumpy.
def djl(array):
    text = python_dict(array.dtype.str, False, python_tuple(array.shape))
    return npy(spaces_and_newline(text, 64))


# NumSharp up to 0.30 (C#): src/NumSharp.Core/APIs/np.save.cs, writeHeader and GetDtypeFromType.
def numsharp(array):
    # Its bytes have no sign, but it says that they have one.
    descr = "|i1" if array.dtype == np.uint8 else array.dtype.str
    text = python_dict(descr, False, python_tuple(array.shape))
    return npy(spaces_and_newline(text, 16))


# MXNet: src/serialization/cnpy.cc, create_npy_header and dtype_descr.
def mxnet(descr, shape):
    return npy(spaces_and_newline(python_dict(descr, False, python_tuple(shape)), 64))


# MXNet: src/common/tensor_inspector.h, get_header.
def mxnet_inspector(array):
    axes = ",".join(str(axis) for axis in array.shape) + ("," if array.ndim == 1 else "")
    text = f"{{'descr':'{little(array)}','fortran_order':False,'shape':({axes})}} "
    return npy(text + " " * (64 - (10 + len(text)) % 64 - 1) + "\n")


# NumPy 1.0.5 to 1.1 (Python 2): numpy/lib/format.py, write_array_header_1_0, with pprint.
# The keys are in order, and a line of more than 80 bytes is broken after a key.
def numpy_1_1(descr, fortran, shape):
    parts = [f"'descr': {descr}", f"'fortran_order': {fortran}", f"'shape': {shape}"]
    text = "{" + ", ".join(parts) + "}"
    if len(text) > 80:
        text = "{" + ",\n ".join(parts) + "}"
    return npy(spaces_and_newline(text, 16))


# NumPy 1.2 to 1.13: numpy/lib/format.py, write_array_header_1_0. Under Python 2 on Windows, and for
# what went through a long elsewhere, axes are longs: `3L`.
def numpy_1_13(array, fortran=False, shape=None):
    text = python_dict(array.dtype.str, fortran, shape or python_tuple(array.shape))
    return npy(spaces_and_newline(text, 16))


# NumPy 1.14 to 1.23: numpy/lib/format.py, _write_array_header.
def numpy_1_14(array, fortran=False):
    text = python_dict(array.dtype.str, fortran, python_tuple(array.shape))
    return npy(spaces_and_newline(text, 64))


# NumPy since 1.24: numpy/lib/_format_impl.py, _write_array_header: room for the axis that grows.
# Also what pandas, polars, PyTorch, CuPy, JAX, and R by reticulate save: they call np.save.
def numpy_now(array, fortran=False, descr=None):
    text = python_dict(descr or array.dtype.str, fortran, python_tuple(array.shape))
    if array.ndim > 0:
        text += " " * (21 - len(str(array.shape[-1 if fortran else 0])))
    return npy(spaces_and_newline(text, 64))


# ---------------------------------------------------------------------------------------------
# Archives


class Archive:
    """A ZIP archive, each field of which is the writer's."""

    def __init__(self):
        self.out = bytearray()
        self.central = bytearray()
        self.members = []

    def add(
        self,
        name,
        body,
        *,
        method=0,
        needed=20,
        local_needed=None,
        made_by=20,
        flags=0,
        time=0,
        date=0,
        # What the local header says of (CRC, compressed, uncompressed); None: the truth.
        local=None,
        local_extra=b"",
        central_extra=b"",
        # The struct format of the sizes after the data, and whether a signature is before them.
        descriptor="",
        internal=0,
        external=0,
        wbits=-15,
    ):
        if method == 8:
            packer = zlib.compressobj(6, zlib.DEFLATED, wbits)
            packed = packer.compress(body) + packer.flush()
        elif method == 12:
            packed = bz2.compress(body)
        else:
            packed = body
        crc = zlib.crc32(body)
        name = name.encode()
        offset = len(self.out)
        needed_here = needed if local_needed is None else local_needed
        sizes = (crc, len(packed), len(body)) if local is None else local
        common = struct.pack("<HHHH", flags, method, time, date)
        self.out += b"PK\3\4" + struct.pack("<H", needed_here) + common
        self.out += struct.pack("<III", *sizes)
        self.out += struct.pack("<HH", len(name), len(local_extra)) + name + local_extra
        self.members.append((name.decode(), method, len(self.out), body))
        self.out += packed
        if descriptor:
            self.out += b"PK\7\x08" + struct.pack("<I", crc)
            self.out += struct.pack(descriptor, len(packed), len(body))
        self.central += b"PK\1\2" + struct.pack("<HH", made_by, needed) + common
        self.central += struct.pack("<III", crc, len(packed), len(body))
        self.central += struct.pack("<HHH", len(name), len(central_extra), 0)
        self.central += struct.pack("<HHII", 0, internal, external, offset)
        self.central += name + central_extra

    def bytes(self):
        count = len(self.members)
        end = struct.pack("<HHHHIIH", 0, 0, count, count, len(self.central), len(self.out), 0)
        return bytes(self.out + self.central + b"PK\5\6" + end)


ONES = 0xFFFFFFFF


def zip64(uncompressed, compressed):
    return struct.pack("<HHQQ", 1, 16, uncompressed, compressed)


# Python's zipfile, ZipFile.open(name, "w", force_zip64=True), which NumPy since 1.17 calls in
# _savez, and MLX in python/src/load.cpp.
def add_forced_zip64(archive, name, body, method=0):
    packed = len(body)
    if method == 8:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = len(packer.compress(body) + packer.flush())
    archive.add(
        name,
        body,
        method=method,
        needed=45,
        made_by=0x032D,
        date=EPOCH_DATE,
        local=(zlib.crc32(body), ONES, ONES),
        local_extra=zip64(len(body), packed),
        external=0x01800000,
    )


# The same into a stream that has no positions.
def add_to_pipe(archive, name, body, method=0):
    archive.add(
        name,
        body,
        method=method,
        needed=45,
        made_by=0x032D,
        flags=0x0008,
        date=EPOCH_DATE,
        local=(0, ONES, ONES),
        local_extra=zip64(0, 0),
        descriptor="<QQ",
        external=0x01800000,
    )


# Python's zipfile without zip64: NumPy 1.16 under Python 3.
def add_numpy_1_16(archive, name, body):
    archive.add(name, body, made_by=0x0314, date=EPOCH_DATE, external=0x01800000)


# Python 2's zipfile, ZipFile.write of a temporary file: NumPy up to 1.13.
def add_numpy_1_13(archive, name, body):
    archive.add(name, body, made_by=0x0314, time=DOS_TIME, date=DOS_DATE, external=0x81800000)


# cnpy: cnpy.h, npz_save. No time, not even a day.
def add_cnpy(archive, name, body):
    archive.add(name, body)


# ZipFile.jl: src/ZipFile.jl, addfile, close and flush.
def add_zipfile_jl(archive, name, body):
    archive.add(name, body, time=DOS_TIME, date=DOS_DATE)


# Go: src/archive/zip/writer.go, Create, writeHeader and Close.
def add_go(archive, name, body):
    archive.add(name, body, method=8, flags=0x0008, local=(0, 0, 0), descriptor="<II")


# xtensor-io: include/xtensor-io/xnpz.hpp, dump_npz.
def add_xtensor(archive, name, body, method=0):
    archive.add(
        name,
        body,
        method=method,
        made_by=0x0314,
        time=DOS_TIME,
        date=DOS_DATE,
        external=0x81800000,
    )


# libnpy by Matthew Johnson: src/npz.cpp, write_local_header and write_central_directory_header.
def add_libnpy_matajoh(archive, name, body, method=0):
    archive.add(name, body, method=method, date=EPOCH_DATE, external=0x01800000)


# zip 6 and 8 (Rust), as ndarray-npy and candle call it: src/write.rs.
def add_rust_zip_8(archive, name, body, method=0):
    version = 20 if method else 10
    archive.add(
        name,
        body,
        method=method,
        needed=version,
        made_by=0x0300 + version,
        date=EPOCH_DATE,
        external=0x81A40000,
    )


# zip 0.6 (Rust), as npyz and tch call it.
def add_rust_zip_0_6(archive, name, body, method=0):
    archive.add(
        name,
        body,
        method=method,
        made_by=0x032E,
        time=DOS_TIME,
        date=DOS_DATE,
        external=0x81A40000,
    )


# miniz, 3rdparty/miniz/miniz.c of MXNet, mz_zip_writer_add_read_buf_callback: stored, and yet the
# sizes come after the data.
def add_miniz(archive, name, body, time=0, date=0):
    archive.add(
        name,
        body,
        needed=0,
        made_by=0,
        flags=0x0808,
        time=time,
        date=date,
        local=(0, 0, 0),
        descriptor="<II",
    )


# Java: java/util/zip/ZipOutputStream.java, writeLOC, writeEXT and writeCEN. A directory is an entry
# like another: its nothing is deflated.
def add_java(archive, name, body, flags=0x0808, extra=b""):
    archive.add(
        name,
        body,
        method=8,
        flags=flags,
        time=DOS_TIME,
        date=DOS_DATE,
        local=(0, 0, 0),
        local_extra=extra,
        central_extra=extra,
        descriptor="<II",
    )


# Java, ZipEntry.STORED with a size and a CRC: Npz.kt of JetBrains Research, writeEntry.
def add_java_stored(archive, name, body):
    archive.add(name, body, needed=10, made_by=10, time=DOS_TIME, date=DOS_DATE)


# .NET: System.IO.Compression, ZipArchiveEntry.cs, into a file, on Windows, at
# CompressionLevel.Optimal.
def add_dotnet(archive, name, body):
    archive.add(name, body, method=8, time=DOS_TIME, date=DOS_DATE)


# macOS, Archive Utility ("Compress"): after local/global_signals.npy.zip of RcppCNPy's repository.
def add_macos(archive, name, body):
    times = struct.pack("<II", UNIX_TIME, UNIX_TIME)
    archive.add(
        name,
        body,
        method=8,
        made_by=0x0315,
        flags=0x0008,
        time=DOS_TIME,
        date=DOS_DATE,
        local=(0, 0, 0),
        local_extra=struct.pack("<HH", 0x5855, 12) + times + struct.pack("<HH", 501, 20),
        central_extra=struct.pack("<HH", 0x5855, 8) + times,
        descriptor="<II",
        external=0x81A44000,
    )


# Info-ZIP, zip 3.0, with times and owners; `pipe` is its output to one.
def add_info_zip(archive, name, body, method=0, pipe=False):
    owner = struct.pack("<HHBBIBI", 0x7875, 11, 1, 4, 0, 4, 0)
    directory = name.endswith("/")
    version = 20 if method else 10
    archive.add(
        name,
        body,
        method=method,
        needed=version,
        made_by=0x031E,
        flags=0x0008 if pipe else 0,
        time=DOS_TIME,
        date=DOS_DATE,
        # It knows the length of the file already.
        local=(0, 0, len(body)) if pipe else None,
        local_extra=struct.pack("<HHBII", 0x5455, 9, 3, UNIX_TIME, UNIX_TIME) + owner,
        central_extra=struct.pack("<HHBI", 0x5455, 5, 3, UNIX_TIME) + owner,
        descriptor="<II" if pipe else "",
        external=0x41ED0010 if directory else 0x81A40000,
    )


# 7-Zip 26.02 for Linux; `pipe` is its output to one (-so).
def add_7zip(archive, name, body, method=0, pipe=False):
    directory = name.endswith("/")
    version = {0: 20 if directory else 10, 8: 20, 12: 46}[method]
    ntfs = struct.pack("<HHIHHQQQ", 0x000A, 32, 0, 1, 24, WINDOWS_TIME, 0, 0)
    archive.add(
        name,
        body,
        method=method,
        needed=version,
        local_needed=45 if pipe else None,
        made_by=0x033F,
        flags=0x0008 if pipe else 0,
        time=DOS_TIME,
        date=DOS_DATE,
        local=(0, ONES, ONES) if pipe else None,
        local_extra=zip64(0, 0) if pipe else b"",
        central_extra=ntfs,
        descriptor="<QQ" if pipe else "",
        # What it reads from a pipe is a pipe for it.
        external=0x41ED8010 if directory else 0x11808020 if pipe else 0x81A48020,
    )


# ---------------------------------------------------------------------------------------------
# Expectations


class Corpus:
    def __init__(self):
        self.cases = []
        self.files = {}

    def npy(
        self,
        name,
        writer,
        prefix,
        array,
        *,
        fortran=False,
        content=None,
        kind="ok",
        err=None,
        refused=None,
        descr=None,
        note=None,
    ):
        """A `.npy` file of `prefix` and the array's data, or other `content`.

        `array` is what a reader must see, or None if there is nothing to see. `refused` is the
        name of NumPy's exception. `descr` is for items that are no numbers.
        """
        content = prefix + (data(array, fortran) if content is None else content)
        case = {"name": name, "file": f"{name}.npy", "fmt": "npy", "writer": writer}
        case |= self.verdict(kind, err, refused, note)
        loaded = load(name, content, refused)
        if kind != "error":
            case |= record(array, fortran, descr)
            case |= {"version": list(prefix[6:8]), "data_offset": len(prefix)}
            if loaded is not None:
                agree(name, array, loaded)
            else:
                # What NumPy refuses has no dtype that all agree on.
                del case["descr"], case["raw_sha256"]
        self.put(case, content)

    def npz(self, name, writer, archive, arrays, *, kind="ok", err=None, refused=None, note=None):
        """An archive; `arrays` has (array, fortran, extra fields) by the name of the array."""
        content = archive.bytes()
        case = {"name": name, "file": f"{name}.npz", "fmt": "npz", "writer": writer}
        case |= self.verdict(kind, err, refused, note)
        members = []
        file = load(name, content, None)
        for member, method, offset, body in archive.members:
            key = member.removesuffix(".npy")
            if key not in arrays:
                continue
            array, fortran, extra = arrays[key]
            entry = {"name": key, "kind": "ok"} | extra
            descr = entry.pop("descr", None)
            if entry["kind"] == "error":
                refuse(f"{name}: {key}", lambda: file[key], entry.pop("refused"))
            elif array is None:
                # NumPy gives the bytes of what is no array.
                if file[key] != body:
                    sys.exit(f"{name}: {key}: NumPy does not give its bytes")
            else:
                loaded = file[key]
                start = 10 + struct.unpack("<H", body[8:10])[0]
                if body[6] > 1:
                    start = 12 + struct.unpack("<I", body[8:12])[0]
                entry |= record(array, fortran, descr) | {"version": list(body[6:8])}
                entry |= {"method": method, "member_offset": offset}
                entry |= {"data_offset": offset + start} if method == 0 else {}
                agree(f"{name}: {key}", array, loaded)
            members.append(entry)
        if len(members) != len(arrays):
            sys.exit(f"{name}: not all arrays are members")
        case["members"] = members
        self.put(case, content)

    @staticmethod
    def verdict(kind, err, refused, note):
        verdict = {"kind": kind, "numpy": "error" if refused else "ok"}
        return verdict | {
            key: value
            for key, value in (("err", err), ("note", note), ("numpy_says", refused))
            if value is not None
        }

    def put(self, case, content):
        if case["file"] in self.files:
            sys.exit(f"{case['file']}: twice")
        self.files[case["file"]] = content
        self.cases.append(case)


def record(array, fortran, descr):
    """What there is to say of an array."""
    order = "F" if fortran and array.size > 0 and sum(n > 1 for n in array.shape) > 1 else "C"
    said = {"shape": list(array.shape), "order": order, "nbytes": array.nbytes}
    said["itemsize"] = array.itemsize
    if descr is not None:
        return said | {"descr": descr, "raw_sha256": sha256(data(array, fortran))}
    ordered = array.astype(array.dtype.newbyteorder("<"))
    said = {"dtype": array.dtype.str} | said | {"sha256": sha256(data(ordered))}
    if array.size > 0:
        for at, key in ((0, "first"), (-1, "last")):
            item = ordered.reshape(-1)[at]
            said |= {key: str(item.item()), f"{key}_hex": item.tobytes().hex()}
    return said


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def load(name, content, refused):
    if refused is not None:
        return refuse(name, lambda: load(name, content, None), refused)
    with warnings.catch_warnings():
        # NumPy warns of headers of Python 2.
        warnings.simplefilter("ignore", UserWarning)
        return np.load(io.BytesIO(content), allow_pickle=False)


def refuse(name, act, refused):
    """NumPy must refuse, with this exception."""
    try:
        act()
    except Exception as error:  # Whichever it is, its name must be the one expected.
        if type(error).__name__ == refused:
            return None
        raise
    sys.exit(f"{name}: NumPy reads it")


def agree(name, array, loaded):
    """NumPy must read the array."""
    same = loaded.shape == array.shape and loaded.tobytes() == array.tobytes()
    # Some dtypes are NumPy's only in part, such as bfloat16: it has their bytes.
    if not same or (array.dtype.kind != "V" and loaded.dtype != array.dtype):
        sys.exit(f"{name}: NumPy reads {loaded!r}, expected {array!r}")


# ---------------------------------------------------------------------------------------------
# The files


def npy_files(corpus):
    def add(name, writer, prefix, array, **options):
        corpus.npy(name, writer, prefix, array, **options)

    def many(short, writer, header, cases):
        """Files of one writer in C order, by dtype and shape."""
        for dtype, shape in cases:
            array = values(dtype, shape)
            letters = array.dtype.str[1:] + ("be" if array.dtype.str[0] == ">" else "")
            name = f"{short}_{letters}_{array.ndim}d" + ("_empty" if array.size == 0 else "")
            add(name, writer, header(array), array)

    many(
        "cnpy",
        "cnpy",
        cnpy,
        [
            ("<f4", (2, 3)),
            ("<f8", (2, 3, 4)),
            ("<i8", (5,)),
            ("|u1", (7,)),
            ("|i1", (3, 2)),
            ("|b1", (4,)),
            ("<u2", (3,)),
            ("<c8", (3,)),
            ("<c16", (2, 2)),
            ("<f4", (0, 3)),
            ("<f8", (0,)),
        ],
    )
    # npy_save(.., "a"): the header is written again over the first, the data to the end.
    whole = values("<f8", (3, 4))
    add("cnpy_append", "cnpy", cnpy(whole[:2], (3, 4)), whole)
    whole = values("<i4", (10, 2))
    add("cnpy_append_one_digit_more", "cnpy", cnpy(whole[:9], (10, 2)), whole)
    # A header that needs 16 bytes more than the first is written over the data.
    before = values("|u1", (9, 1, 1, 1, 10))
    longer = cnpy(before, (10, 1, 1, 1, 10))
    if len(longer) != len(cnpy(before)) + 16:
        sys.exit("cnpy: this shape needs no longer header")
    add(
        "cnpy_append_over_data",
        "cnpy",
        longer,
        None,
        content=data(before)[16:] + bytes(10),
        kind="error",
        err="truncated_data",
        refused="ValueError",
        note="the longer header lies over the first 16 elements, so 16 are missing at the end",
    )

    many("rcppcnpy", "RcppCNPy", cnpy, [("<i8", (3, 2)), ("<f8", (4,)), ("<f8", (2, 3))])

    for dtype, shape in [
        ("<f8", (3, 4)),
        ("<f4", (1, 5)),
        ("<f8", (5, 1)),
        ("|u1", (2, 3)),
        ("<i2", (2, 3, 4)),
        ("<i8", (1, 1)),
        ("<f8", (0, 0)),
    ]:
        array = values(dtype, shape)
        name = f"matlab_{array.dtype.str[1:]}_" + "x".join(str(axis) for axis in shape)
        add(name, "npy-matlab", npy_matlab(array), array, fortran=True)
    array = values("<f4", (2, 3))
    big = array.astype(">f4")
    add("matlab_header_c_order", "npy-matlab", npy_matlab(array, fortran=False), array)
    add("matlab_header_big_endian", "npy-matlab", npy_matlab(big, False, big=True), big)
    array = values("<i2", (10,))
    add(
        "matlab_header_one_axis",
        "npy-matlab",
        npy_matlab(array),
        array,
        kind="error",
        err="shape",
        refused="ValueError",
        note="constructNPYheader of one axis: (10) is a number in Python, no tuple",
    )

    for dtype, shape in [
        ("<f8", (3,)),
        ("<f4", (2, 3)),
        ("<i8", (2, 3, 2)),
        ("|u1", (2, 2)),
        ("|b1", (3,)),
        ("<f2", (4,)),
        ("<c16", (2, 2)),
        ("<f8", ()),
        ("<c16", ()),
        ("<i8", (0, 3)),
    ]:
        array = values(dtype, shape)
        name = f"npzjl_{array.dtype.str[1:]}_{array.ndim}d" + ("" if array.size else "_empty")
        add(name, "NPZ.jl", npz_jl(array), array, fortran=True)
    # As that of every scalar of eight bytes or less.
    array = values("<f4", (1, 2, 1, 2, 1, 3))
    if npz_jl(array).endswith(b"\n"):
        sys.exit("NPZ.jl: this header is padded")
    add("npzjl_no_newline", "NPZ.jl", npz_jl(array), array, fortran=True)

    many(
        "npyio",
        "npyio",
        lambda array: npyio(array.dtype.str, array.shape),
        [
            ("<f8", (2, 3)),
            ("<f4", (6,)),
            ("<i8", (4,)),
            ("|u1", (5,)),
            ("|i1", (5,)),
            ("|b1", (3,)),
            ("<c8", (2,)),
            ("<c16", (2,)),
            ("<f8", ()),
            ("|b1", ()),
            ("<i4", (0,)),
        ],
    )
    text = np.array(["ab", "cde"])
    add("npyio_text", "npyio", npyio("<U3", (2,)), text, descr="<U3")

    for dtype, shape, options in [
        ("<f8", (4,), {}),
        ("<f4", (2, 3), {}),
        ("<i8", (2, 3), {"fortran": True}),
        (">f4", (2, 3), {"big": True}),
        (">i2", (3,), {"big": True, "major": 2}),
        ("|u1", (5,), {}),
        ("|i1", (2, 2), {"major": 2}),
        ("<c16", (3,), {}),
        (">c8", (2, 2), {"big": True, "fortran": True}),
        ("<f8", (0,), {}),
    ]:
        array = values(dtype, shape)
        name = "_".join(["gonpy", array.dtype.str[1:], f"{array.ndim}d"])
        name += "".join(f"_{key}" if key != "major" else "_v2" for key in options)
        name += "" if array.size else "_empty"
        fortran = options.get("fortran", False)
        add(name, "gonpy", gonpy(array, **options), array, fortran=fortran)

    many(
        "xtensor",
        "xtensor",
        xtensor,
        [
            ("<f4", (2, 3)),
            ("<f8", ()),
            ("<i8", (3,)),
            ("|u1", (2, 2)),
            ("|i1", (3,)),
            ("|b1", (4,)),
            ("<c8", (2,)),
            ("<f4", (0, 2)),
        ],
    )
    array = values("<f8", (2, 3, 2))
    add("xtensor_f8_3d_f", "xtensor", xtensor(array, True), array, fortran=True)

    many(
        "libnpy",
        "libnpy (llohse)",
        libnpy,
        [
            ("<f4", (2, 3)),
            ("<f8", ()),
            ("<i8", (3,)),
            ("|u1", (2, 2)),
            ("|i1", (3,)),
            ("<c16", (2,)),
            ("<f8", (0,)),
        ],
    )
    array = values("<f4", (2, 3))
    add("libnpy_f4_2d_f", "libnpy (llohse)", libnpy(array, True), array, fortran=True)
    add(
        "libnpy_old_0d",
        "libnpy (llohse), before 1.0",
        libnpy(values("<f8", ()), shape=""),
        None,
        content=data(values("<f8", ())),
        kind="error",
        err="header",
        refused="ValueError",
        note="SaveArrayAsNumpy of no axes: write_tuple gives nothing at all for a shape",
    )
    x87 = bytes.fromhex("00000000000000c0ff3f000000000000")
    add(
        "libnpy_long_double",
        "libnpy (llohse)",
        libnpy(np.zeros(1, "V16"), descr="<f16"),
        np.frombuffer(x87, "V16"),
        kind="either",
        err="dtype",
        descr="<f16",
        note="the long double of x86, which only some platforms have",
    )

    many(
        "libnpy_matajoh",
        "libnpy (matajoh)",
        libnpy_matajoh,
        [
            ("<f4", (2, 3)),
            (">f4", (2, 3)),
            ("<f8", ()),
            ("<i8", (3,)),
            ("|u1", (3,)),
            ("|b1", (3,)),
            (">c16", (2,)),
            ("<f8", (0, 3)),
        ],
    )
    array = values("<f8", (2, 3))
    prefix = libnpy_matajoh(array, True)
    add("libnpy_matajoh_f8_2d_f", "libnpy (matajoh)", prefix, array, fortran=True)
    add("libnpy_matajoh_text", "libnpy (matajoh)", libnpy_matajoh(text), text, descr="<U3")

    many(
        "mlx",
        "MLX",
        lambda array: mlx(array, mlx_fortran(array)),
        [
            ("<f4", ()),
            ("<f4", (3,)),
            ("<f4", (2, 3)),
            ("<i2", (1, 3)),
            ("<f2", (2, 1, 2)),
            ("<i8", (4,)),
            ("|u1", (4,)),
            ("|b1", (2,)),
            ("<c8", (1,)),
            ("<f4", (0,)),
            ("<i4", (2, 0)),
        ],
    )
    array = values("<f4", (3, 2))
    add("mlx_f4_2d_f", "MLX", mlx(array, True), array, fortran=True)
    half = np.frombuffer(values("<f4", (4,)).astype("<f4").tobytes(), "<u2")[1::2].tobytes()
    add(
        "mlx_bfloat16",
        "MLX",
        mlx(np.zeros(4, "V2"), True, "<V2"),
        np.frombuffer(half, "V2"),
        kind="either",
        err="dtype",
        descr="<V2",
        note="only the user can say that these are bfloat16",
    )

    many(
        "npyjs",
        "npyjs",
        npyjs,
        [
            ("<f4", (3,)),
            ("<f4", (2, 3)),
            ("<f8", ()),
            ("<i8", (2,)),
            ("<i4", (2, 2)),
            ("|u1", (2,)),
            ("|i1", (2,)),
            ("|b1", (3,)),
            ("<c8", (2,)),
            ("<f8", (0,)),
        ],
    )
    add(
        "npyjs_text_without_shape",
        "npyjs 1.2",
        npyjs(text, (24,)),
        None,
        content=data(text),
        kind="error",
        err="truncated_data",
        refused="ValueError",
        note="dump of two strings without a shape says that there are as many as bytes",
    )

    many(
        "candle",
        "candle",
        candle,
        [
            ("<f4", (2, 3)),
            ("<f8", ()),
            ("<f2", (3,)),
            ("<i8", (3,)),
            ("<i4", (2, 2)),
            ("<u4", (2,)),
            ("|u1", (2, 2)),
            ("<f4", (0,)),
        ],
    )
    many("tch", "tch", candle, [("<f4", (2, 3)), ("|i1", (3,)), ("<f8", ())])

    many(
        "ndarray_npy",
        "ndarray-npy",
        ndarray_npy,
        [
            ("<f4", ()),
            ("<f8", (2, 3)),
            ("<i8", (3,)),
            ("|u1", (2, 2)),
            ("|b1", (1, 2)),
            ("<c8", (2,)),
            ("<f4", (0, 3)),
        ],
    )
    array = values("<f8", (2, 3))
    add("ndarray_npy_f8_2d_f", "ndarray-npy", ndarray_npy(array, True), array, fortran=True)

    many(
        "npyz",
        "npyz",
        npyz,
        [
            ("|b1", ()),
            ("|u1", (3,)),
            ("<f8", (2, 3)),
            (">i4", (2, 2)),
            ("<c16", (2,)),
            ("<f4", (0, 3)),
        ],
    )
    array = values("<f4", (2, 3))
    add("npyz_f4_2d_f", "npyz", npyz(array, True), array, fortran=True)
    array = values("<i8", (4,))
    add("npyz_i8_length_later", "npyz", npyz_1d("'<i8'", 4), array)
    pairs = np.array([(1.5, 2), (3.25, 4)], [("a", "<f4"), ("b", "|u1")])
    descr = "[('a', '<f4'), ('b', '|u1')]"
    prefix = npyz_1d("[('a', '<f4'), ('b', '|u1'), ]", 2)
    add("npyz_struct", "npyz", prefix, pairs, descr=descr)
    prefix = npyz_1d("[('a', '<f4'), ('b', '|u1'), ]", 2, 19, 16)
    add("npy_rs_struct", "npy-rs", prefix, pairs, descr=descr)
    add("npy_rs_f8", "npy-rs", npyz_1d("'<f8'", 3, 19, 16), values("<f8", (3,)))

    for dtype, shape in [
        ("<f4", (2, 3)),
        ("<f8", (3,)),
        ("|i1", (2, 2)),
        ("<i8", (2, 3, 2)),
        ("<c8", (2,)),
        ("<c16", (2, 2)),
        ("<f8", (0, 2)),
    ]:
        array = values(dtype, shape)
        name = f"fortran_{array.dtype.str[1:]}_{array.ndim}d" + ("" if array.size else "_empty")
        add(name, "Fortran stdlib", fortran_stdlib(array), array, fortran=True)
    add(
        "fortran_extended",
        "Fortran stdlib",
        fortran_stdlib(np.zeros(1), "<f10"),
        None,
        content=x87,
        kind="error",
        err="dtype",
        refused="ValueError",
        note="a real of 80 bits: NumPy has no f10",
    )

    many(
        "numir",
        "numir",
        numir,
        [("<f4", (6,)), ("<f8", (2, 3)), ("<i4", (2, 2, 2)), ("<i8", (1,))],
    )
    many(
        "kotlin",
        "npy (JetBrains Research)",
        npy_kotlin,
        [
            ("<f4", (3,)),
            (">f8", (2, 3)),
            ("<i8", (2, 2)),
            ("<i2", (0,)),
            ("|i1", (3,)),
            ("|b1", (2, 2)),
        ],
    )
    names = np.array([b"ab", b"cde"])
    add("kotlin_text", "npy (JetBrains Research)", npy_kotlin(names), names, descr="|S3")

    many(
        "djl",
        "DJL",
        djl,
        [("<f4", (2, 3)), ("<i8", (3,)), ("|u1", ()), ("|b1", (2, 2)), ("<f2", (2, 0))],
    )

    many("numsharp", "NumSharp 0.30", numsharp, [("<f8", (2, 3)), ("<i4", (3,)), ("|b1", (2,))])
    array = values("|u1", (2, 3))
    add(
        "numsharp_byte",
        "NumSharp 0.30",
        numsharp(array),
        array.view("|i1"),
        note="bytes without a sign, said to be i1: a reader can only believe it",
    )

    many(
        "mxnet",
        "MXNet",
        lambda array: mxnet(array.dtype.str, array.shape),
        [("<f4", (2, 3)), ("<f2", (3,)), ("<f8", ()), ("|u1", (2, 2)), ("<i8", (0, 2))],
    )
    add(
        "mxnet_bfloat16",
        "MXNet",
        mxnet("<b2", (4,)),
        None,
        content=half,
        kind="error",
        err="dtype",
        refused="ValueError",
        note="b2 is no dtype of NumPy's",
    )
    many(
        "mxnet_inspector",
        "MXNet, TensorInspector",
        mxnet_inspector,
        [("<f4", (2, 3)), ("|u1", (3,)), ("<i8", (2, 1, 2))],
    )

    # NumPy itself, through the years.
    array = values("<f8", (2, 3))
    add("numpy_1_1", "NumPy 1.1", numpy_1_1("'<f8'", False, "(2, 3)"), array)
    add(
        "numpy_1_1_long",
        "NumPy 1.1 on Windows",
        numpy_1_1("'<f8'", True, "(2L, 3L)"),
        array,
        fortran=True,
        note="axes that are longs of Python 2",
    )
    fields = [("x", "<f8"), ("y", "<f8"), ("weight", "<f4"), ("label", "<i4")]
    rows = np.array([(1.5, -2.0, 0.25, 7), (2.5, 3.0, 4.5, -1)], fields)
    prefix = numpy_1_1(repr(fields), False, "(2,)")
    note = "pprint breaks the line"
    add("numpy_1_1_lines", "NumPy 1.1", prefix, rows, descr=repr(fields), note=note)
    many(
        "numpy_1_13",
        "NumPy 1.13",
        numpy_1_13,
        [("<f4", (2, 3)), ("<f8", ()), ("|u1", (5,)), (">i8", (3,)), ("<c16", (0,))],
    )
    array = values("<i4", (3,))
    add(
        "numpy_1_8_long",
        "NumPy 1.8 under Python 2 on Windows",
        numpy_1_13(array, shape="(3L,)"),
        array,
        note="axes that are longs of Python 2",
    )
    many("numpy_1_14", "NumPy 1.14", numpy_1_14, [("<f4", (2, 3)), ("|b1", (4,)), ("<i8", ())])
    many(
        "numpy_now",
        "NumPy since 1.24",
        numpy_now,
        [("<f4", (2, 3)), ("<f8", ()), ("<i8", (3,)), ("|b1", (2, 2)), ("<f4", (0, 4))],
    )
    # A table of pandas or polars, a transposed tensor of PyTorch or CuPy, a matrix of R.
    array = values("<f8", (4, 3))
    add("numpy_table", "pandas, polars", numpy_now(array, True), array, fortran=True)
    array = values("<f4", (3, 2, 2))
    add("numpy_transposed", "PyTorch, CuPy", numpy_now(array, True), array, fortran=True)
    array = values("<i4", (2, 3))
    add("numpy_matrix_of_r", "reticulate", numpy_now(array, True), array, fortran=True)
    for name, descr, content, refused, note in [
        ("bfloat16", "<V2", half, None, "only the user can say that these are bfloat16"),
        ("float8_e4m3fn", "<V1", bytes.fromhex("384044"), None, "only the user can say what it is"),
        ("int4", "<V1", bytes.fromhex("010203"), None, "only the user can say that these are int4"),
        ("float8_e5m2", "<f1", bytes.fromhex("3c4042"), "ValueError", "NumPy has no f1"),
    ]:
        array = np.frombuffer(content, f"V{descr[2:]}")
        add(
            f"jax_{name}",
            "JAX, ml_dtypes",
            numpy_now(array, descr=descr),
            array,
            kind="either",
            err="dtype",
            refused=refused,
            descr=descr,
            note=note,
        )


def npz_files(corpus):
    floats, ints, small = values("<f4", (2, 3)), values("<i8", (5,)), values("|u1", (3,))
    scalar, turned = values("<f8", ()), values("<f8", (2, 3))

    def both(name, writer, add, header, **options):
        """An archive of `x`, two axes of f4, and `y`, one axis of i8."""
        archive = Archive()
        add(archive, "x.npy", header(floats) + data(floats), **options)
        add(archive, "y.npy", header(ints) + data(ints), **options)
        corpus.npz(name, writer, archive, {"x": (floats, False, {}), "y": (ints, False, {})})

    both("cnpy_npz", "cnpy", add_cnpy, cnpy)

    archive = Archive()
    add_zipfile_jl(archive, "m.npy", npz_jl(turned) + data(turned, True))
    add_zipfile_jl(archive, "s.npy", npz_jl(scalar) + data(scalar))
    arrays = {"m": (turned, True, {}), "s": (scalar, True, {})}
    corpus.npz("npzjl_npz", "NPZ.jl", archive, arrays)

    both("npyio_npz", "npyio", add_go, lambda array: npyio(array.dtype.str, array.shape))
    archive = Archive()
    add_go(archive, "x", npyio("<f4", floats.shape) + data(floats))
    corpus.npz(
        "npyio_npz_no_suffix",
        "npyio",
        archive,
        {"x": (floats, False, {"kind": "either", "err": "name"})},
        note="the user names the member, and NumPy takes one without .npy for an array too",
    )

    both("xtensor_npz", "xtensor-io", add_xtensor, xtensor)
    both("xtensor_npz_compressed", "xtensor-io", add_xtensor, xtensor, method=8)
    both("libnpy_matajoh_npz", "libnpy (matajoh)", add_libnpy_matajoh, libnpy_matajoh)
    both("libnpy_matajoh_npz_c", "libnpy (matajoh)", add_libnpy_matajoh, libnpy_matajoh, method=8)
    both("mlx_npz", "MLX", add_forced_zip64, lambda array: mlx(array, mlx_fortran(array)))
    both("candle_npz", "candle", add_rust_zip_8, candle)
    both("tch_npz", "tch", add_rust_zip_0_6, candle)
    both("ndarray_npy_npz", "ndarray-npy", add_rust_zip_8, ndarray_npy)
    both("ndarray_npy_npz_compressed", "ndarray-npy", add_rust_zip_8, ndarray_npy, method=8)
    both("npyz_npz", "npyz", add_rust_zip_0_6, npyz, method=8)

    both("mxnet_npz", "MXNet", add_miniz, lambda array: mxnet(array.dtype.str, array.shape))
    # A sparse array: the format is a header in a header.
    archive = Archive()
    where = values("<i8", (2,)) * 0 + 1
    sparse_shape = np.array([4, 3], "<i8")
    for key, array, time in [
        ("w/data", floats[0][:2].copy(), (0, 0)),
        ("w/indices", where, (0, 0)),
        ("w/shape", sparse_shape, (DOS_TIME, DOS_DATE)),
    ]:
        body = mxnet(array.dtype.str, array.shape) + data(array)
        add_miniz(archive, f"{key}.npy", body, *time)
    broken = "{'descr': '|s10" + python_dict("<i8", False, "()")
    body = npy(spaces_and_newline(broken, 64)) + b"row_sparse"
    add_miniz(archive, "w/format.npy", body, DOS_TIME, DOS_DATE)
    corpus.npz(
        "mxnet_npz_sparse",
        "MXNet",
        archive,
        {
            "w/data": (floats[0][:2].copy(), False, {}),
            "w/indices": (where, False, {}),
            "w/shape": (sparse_shape, False, {}),
            "w/format": (None, False, {"kind": "error", "err": "header", "refused": "ValueError"}),
        },
        note="save_format_array writes the start of its header twice: that member alone is refused",
    )

    archive = Archive()
    for index, array in enumerate([floats, ints]):
        add_java(archive, f"arr_{index}.npy", djl(array) + data(array))
    arrays = {"arr_0": (floats, False, {}), "arr_1": (ints, False, {})}
    corpus.npz("djl_npz", "DJL", archive, arrays)
    both("kotlin_npz", "npy (JetBrains Research)", add_java_stored, npy_kotlin)
    both("kotlin_npz_compressed", "npy (JetBrains Research)", add_java, npy_kotlin, flags=0x0008)
    archive = Archive()
    add_java(archive, "data/", b"")
    extra = struct.pack("<HHBI", 0x5455, 5, 1, UNIX_TIME)
    add_java(archive, "data/x.npy", numpy_now(floats) + data(floats), extra=extra)
    corpus.npz("java_folder", "Java", archive, {"data/x": (floats, False, {})})

    archive = Archive()
    add_dotnet(archive, "x.npy", numpy_now(floats) + data(floats))
    corpus.npz("dotnet_npz", "NumSharp, .NET", archive, {"x": (floats, False, {})})
    archive = Archive()
    add_dotnet(archive, "arr_0", numsharp(floats) + data(floats))
    corpus.npz(
        "numsharp_npz_no_suffix",
        "NumSharp 0.30",
        archive,
        {"arr_0": (floats, False, {"kind": "either", "err": "name"})},
        note="NumPy takes a member without .npy for an array too",
    )

    # NumPy: files, and a stream without positions.
    both("numpy_1_13_npz", "NumPy 1.13", add_numpy_1_13, numpy_1_13)
    both("numpy_1_16_npz", "NumPy 1.16", add_numpy_1_16, numpy_1_14)
    both("numpy_now_npz", "NumPy since 1.24", add_forced_zip64, numpy_now)
    both("numpy_now_npz_compressed", "NumPy since 1.24", add_forced_zip64, numpy_now, method=8)
    archive = Archive()
    parts = {"x": (floats, False, {}), "s": (scalar, False, {}), "t": (turned, True, {})}
    for key, (array, fortran, _) in parts.items():
        body = numpy_now(array, fortran) + data(array, fortran)
        add_to_pipe(archive, f"{key}.npy", body)
    corpus.npz("numpy_pipe", "NumPy to a pipe", archive, parts)
    both("numpy_pipe_compressed", "NumPy to a pipe", add_to_pipe, numpy_now, method=8)

    scipy_files(corpus)

    # Archives of files of NumPy's that other programs made.
    whole = numpy_now(floats) + data(floats)
    more = numpy_now(small) + data(small)
    pair = {"x": (floats, False, {}), "y": (small, False, {})}
    inside = {"data/x": (floats, False, {}), "data/y": (small, False, {})}
    archive = Archive()
    add_macos(archive, "x.npy", whole)
    corpus.npz("macos", "macOS", archive, {"x": (floats, False, {})})
    # An AppleDouble file of one entry, as for a file that was downloaded.
    quarantine = b"\0\5\x16\7\0\2\0\0Mac OS X        \0\1\0\0\0\x09\0\0\0\x26\0\0\0\x20" + bytes(32)
    archive = Archive()
    add_macos(archive, "x.npy", whole)
    add_macos(archive, "__MACOSX/._x.npy", quarantine)
    corpus.npz(
        "macos_forks",
        "macOS",
        archive,
        {
            "x": (floats, False, {}),
            "__MACOSX/._x": (None, False, {"kind": "either", "err": "magic"}),
        },
        note="what macOS keeps beside a file is no array; NumPy gives its bytes",
    )

    for name, method, pipe in [("stored", 0, False), ("deflated", 8, False), ("pipe", 8, True)]:
        archive = Archive()
        add_info_zip(archive, "x.npy", whole, method, pipe)
        add_info_zip(archive, "y.npy", more, method, pipe)
        corpus.npz(f"info_zip_{name}", "Info-ZIP", archive, pair)
        archive = Archive()
        add_7zip(archive, "x.npy", whole, method, pipe)
        add_7zip(archive, "y.npy", more, method, pipe)
        corpus.npz(f"seven_zip_{name}", "7-Zip", archive, pair)
    for name, writer, add in [
        ("info_zip", "Info-ZIP", add_info_zip),
        ("seven_zip", "7-Zip", add_7zip),
    ]:
        archive = Archive()
        add(archive, "data/", b"")
        add(archive, "data/x.npy", whole, 8)
        add(archive, "data/y.npy", more)
        corpus.npz(f"{name}_folder", writer, archive, inside)
    archive = Archive()
    add_7zip(archive, "x.npy", whole, 12)
    corpus.npz(
        "seven_zip_bzip2",
        "7-Zip",
        archive,
        {"x": (floats, False, {"kind": "either", "err": "method"})},
        note="NumPy reads bzip2 because Python's zipfile does; no writer of arrays uses it",
    )


# SciPy: scipy/sparse/_matrix_io.py, save_npz: the parts, then format, shape, data, and _is_array
# for sparse arrays. np.savez_compressed writes them, or np.savez.
def scipy_files(corpus):
    dense = np.zeros((4, 6), "<f8")
    dense[0, 1], dense[0, 5], dense[2, 0], dense[3, 3] = 1.5, -2.25, 3.0, 4.75
    at = np.nonzero(dense)
    across = np.nonzero(dense.T)
    blocks = [(0, 0), (0, 4), (2, 0), (2, 2)]
    int32 = np.int32
    formats = {
        "csr": {
            "indices": at[1].astype(int32),
            "indptr": np.array([0, 2, 2, 3, 4], int32),
            "data": dense[at],
        },
        "csc": {
            "indices": across[1].astype(int32),
            "indptr": np.array([0, 1, 2, 2, 3, 3, 4], int32),
            "data": dense.T[across],
        },
        "bsr": {
            "indices": np.array([0, 2, 0, 1], int32),
            "indptr": np.array([0, 2, 4], int32),
            "data": np.stack([dense[r : r + 2, c : c + 2] for r, c in blocks]),
        },
        "dia": {
            "offsets": np.array([-2, 0, 1, 5], int32),
            "data": np.array(
                [
                    [3.0, 0, 0, 0, 0, 0],
                    [0, 0, 0, 4.75, 0, 0],
                    [0, 1.5, 0, 0, 0, 0],
                    [0, 0, 0, 0, 0, -2.25],
                ]
            ),
        },
        "coo": {
            "row": at[0].astype(int32),
            "col": at[1].astype(int32),
            "data": dense[at],
        },
    }
    for name, parts in formats.items():
        stored = {key: part for key, part in parts.items() if key != "data"}
        stored["format"] = np.array(name.encode())
        stored["shape"] = np.array(dense.shape, "<i8")
        stored["data"] = parts["data"]
        # csr and coo are sparse arrays here, the others matrices.
        if name in ("csr", "coo"):
            stored["_is_array"] = np.array(True)
        archive = Archive()
        for key, array in stored.items():
            body = numpy_now(array) + data(array)
            add_forced_zip64(archive, f"{key}.npy", body, 0 if name == "csc" else 8)
        arrays = {key: (array, False, {}) for key, array in stored.items()}
        arrays["format"][2]["descr"] = "|S3"
        corpus.npz(f"scipy_{name}", "SciPy", archive, arrays)


# ---------------------------------------------------------------------------------------------


def numpy_still_writes_so():
    """`numpy_now` is NumPy's own header."""
    for array in [
        values("<f4", (2, 3)),
        np.asfortranarray(values("<f8", (2, 3))),
        values("|b1", ()),
        values("<i8", (0, 4)),
    ]:
        out = io.BytesIO()
        np.save(out, array)
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        if out.getvalue() != numpy_now(array, fortran) + data(array, fortran):
            sys.exit("np.save writes another header than numpy_now")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with what is there")
    check = parser.parse_args().check
    numpy_still_writes_so()
    corpus = Corpus()
    npy_files(corpus)
    npz_files(corpus)
    text = json.dumps({"cases": corpus.cases}, indent=1, ensure_ascii=False) + "\n"
    made = {HERE / "files" / name: content for name, content in corpus.files.items()}
    made[HERE / "expectations.json"] = text.encode()
    there = set((HERE / "files").glob("*")) | {HERE / "expectations.json"}
    if check:
        wrong = [
            path.name
            for path in sorted(there | set(made))
            if not path.is_file() or made.get(path) != path.read_bytes()
        ]
        if wrong:
            sys.exit(f"not what make.py writes: {', '.join(wrong)}")
    else:
        (HERE / "files").mkdir(exist_ok=True)
        for path in there - set(made):
            if path.is_file():
                path.unlink()
        for path, content in made.items():
            path.write_bytes(content)
    total = sum(len(content) for content in corpus.files.values())
    print(f"{len(corpus.cases)} files, {total} bytes")


if __name__ == "__main__":
    main()
