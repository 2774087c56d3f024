"""Tests of `burn_npy.py` that need no Rust: `python python/test_burn_npy.py`.

`crates/burn-npy-core/tests/python.rs` compares the orders and the files with those of burn-npy.
"""

import os
import stat
import struct
import tempfile
import unittest
import zipfile
from unittest import mock

import numpy as np

import burn_npy as bn


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(folder.name, "x")

    def assert_only(self, *names):
        """No file is left besides these."""
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(names))

    def saved(self, bytes):
        with open(self.path, "wb") as file:
            file.write(bytes)

    def bytes(self):
        with open(self.path, "rb") as file:
            return file.read()


class Savez(InFolder):
    def test_numpy_reads_every_array_and_its_data_is_aligned(self):
        fields = np.zeros(5, [("x", "<f4"), ("naïve", ">i2", (3,))])
        fields["naïve"] = np.arange(15).reshape(5, 3)
        arrays = {
            "a": np.arange(7, dtype="u1"),
            "images": np.arange(2 * 3 * 4, dtype="f4").reshape(2, 3, 4),
            "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "größe": np.float64(2.5),
            "empty": np.zeros((0, 9), ">i8"),
            "text": np.array(["one", "two"]),
            "fields": fields,
            "listed": [[1, 2], [3, 4]],
            "path": np.arange(3)[::-1],
        }
        bn.savez(self.path, **arrays)
        with np.load(self.path) as found:
            self.assertEqual(found.files, list(arrays))
            for name, array in arrays.items():
                array = np.asarray(array)
                self.assertEqual(found[name].dtype, array.dtype)
                np.testing.assert_array_equal(found[name], array)
        self.assertTrue(np.load(self.path)["fortran"].flags.f_contiguous)
        data = self.bytes()
        with zipfile.ZipFile(self.path) as archive:
            self.assertIsNone(archive.testzip())
            for member in archive.infolist():
                self.assertEqual(member.compress_type, zipfile.ZIP_STORED)
                header = data[member.header_offset :][:30]
                name, extra = struct.unpack("<HH", header[26:])
                start = member.header_offset + 30 + name + extra
                self.assertEqual(data[start : start + 6], b"\x93NUMPY")
                self.assertEqual(start % 64, 0)
                size = int.from_bytes(data[start + 8 : start + 10], "little")
                self.assertEqual((start + 10 + size) % 64, 0)
        bn.savez(self.path, **arrays)
        self.assertEqual(self.bytes(), data)

    def test_the_old_file_is_replaced_whole_or_not_at_all(self):
        bn.savez(self.path, a=np.arange(3))
        os.chmod(self.path, 0o640)
        old = self.bytes()
        with open(self.path, "rb") as reader:
            bn.savez(self.path, a=np.arange(4))
            self.assertEqual(reader.read(), old)
        if os.name == "posix":
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o640)
        old = self.bytes()
        with mock.patch("numpy.lib.format.write_array", side_effect=OSError("disk full")):
            with self.assertRaisesRegex(OSError, "disk full"):
                bn.savez(self.path, a=np.arange(5))
        self.assertEqual(self.bytes(), old)
        self.assert_only("x")

    def test_a_link_stays(self):
        link = os.path.join(self.folder, "link")
        os.symlink("x", link)
        bn.savez(link, a=np.arange(3))
        self.assertTrue(os.path.islink(link))
        self.assertEqual(np.load(self.path)["a"].tolist(), [0, 1, 2])

    def test_what_cannot_be_saved_is_named(self):
        with self.assertRaisesRegex(ValueError, "x, array 'b': Python objects"):
            bn.savez(self.path, a=[1], b=np.array([None]))
        with self.assertRaisesRegex(ValueError, "two arrays of the name 'a'"):
            bn.savez(self.path, **{"a": [1], "a.npy": [2]})
        # `np.save` writes some dtypes of `ml_dtypes` in a way that `np.load` does not know.
        with mock.patch("numpy.lib.format.dtype_to_descr", return_value="<f1"):
            with self.assertRaisesRegex(ValueError, r"save array.view\('V1'\)"):
                bn.savez(self.path, a=np.zeros(3, "u1"))
        with self.assertRaisesRegex(OSError, "only regular files"):
            bn.savez(self.folder, a=[1])
        self.assert_only()


class Append(InFolder):
    def test_rows_follow_rows(self):
        rows = np.arange(700, dtype="i2").reshape(100, 7)
        for start, end in [(0, 1), (1, 1), (1, 9), (9, 10), (10, 100)]:
            bn.append(self.path, rows[start:end])
            np.testing.assert_array_equal(np.load(self.path), rows[:end])
        # In another order in memory, and of the other byte order.
        bn.append(self.path, np.asfortranarray(rows))
        bn.append(self.path, rows.astype(">i2"))
        found = np.load(self.path, mmap_mode="r")
        np.testing.assert_array_equal(found, np.concatenate([rows] * 3))
        self.assertEqual(found.dtype, np.dtype("<i2"))
        self.assertEqual(found.offset + found.nbytes, len(self.bytes()))
        self.assert_only("x")

    def test_dtypes_and_shapes_of_all_kinds(self):
        fields = np.zeros(2, [("x", "<f4"), ("größe", ">i2", (3,))])
        kinds = [np.array(["a", "bc"]), np.array([1 + 2j, 3]), np.array([True, False]), fields]
        kinds += [np.array(["2024-01-01"], "M8[s]"), np.zeros((3, 0, 2)), np.zeros((1, 1, 1))]
        for number, rows in enumerate(kinds):
            path = f"{self.path}{number}"
            for times in [1, 2]:
                bn.append(path, rows)
                found = np.load(path)
                self.assertEqual(found.dtype, rows.dtype)
                np.testing.assert_array_equal(found, np.concatenate([rows] * times))

    def test_files_of_numpy(self):
        for version in [(1, 0), (2, 0), (3, 0)]:
            with open(self.path, "wb") as file:
                np.lib.format.write_array(file, np.arange(9, dtype=">u4"), version)
            bn.append(self.path, np.arange(9, 1000, dtype="u4"))
            with open(self.path, "rb") as file:
                self.assertEqual(np.lib.format.read_magic(file), version)
            found = np.load(self.path)
            self.assertEqual(found.dtype, np.dtype(">u4"))
            np.testing.assert_array_equal(found, np.arange(1000))

    def test_a_header_without_room_is_written_anew(self):
        text = b"{'descr':'|u1','fortran_order':False,'shape':(9,)}"
        head = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
        self.saved(head + bytes(range(9)))
        bn.append(self.path, np.arange(9, 20, dtype="u1"))
        self.assertEqual(np.load(self.path).tolist(), list(range(20)))
        self.assert_only("x")

    def test_bytes_after_the_data_are_lost_but_no_array(self):
        np.save(self.path + ".npy", np.arange(3))
        os.rename(self.path + ".npy", self.path)
        one = self.bytes()
        self.saved(one + b"rest")
        bn.append(self.path, np.arange(1))
        self.assertEqual(np.load(self.path).tolist(), [0, 1, 2, 0])
        self.assertEqual(len(self.bytes()), len(one) + 8)
        self.saved(one + one)
        with self.assertRaisesRegex(ValueError, "another array follows"):
            bn.append(self.path, np.arange(1))
        self.assertEqual(self.bytes(), one + one)

    def test_what_does_not_fit_is_refused(self):
        bn.append(self.path, np.zeros((2, 3), "f4"))
        old = self.bytes()
        for rows, message in [
            (np.zeros((1, 3)), "x: the file has items of float32, the rows float64"),
            (np.zeros((1, 4), "f4"), r"shape \(2, 3\) has no rows of shape \(4,\)"),
            (np.zeros(3, "f4"), r"no rows of shape \(\)"),
            (np.float32(1), "without axes"),
            (np.array([[None] * 3]), "x, rows: Python objects"),
        ]:
            with self.assertRaisesRegex(ValueError, message):
                bn.append(self.path, rows)
        self.assertEqual(self.bytes(), old)
        rows = np.zeros((1, 3), "f4")
        for bytes, message in [
            (old[:-1], "has 151 bytes, its header says 152"),
            (b"", "no .npy file"),
            (b"PK\3\4" + old, "no .npy file"),
            (old[:50], "cannot read the header"),
            (old.replace(b"False", b"True "), "Fortran order"),
            (old.replace(b"(2, 3)", b"(2,-3)"), "shape"),
            (old.replace(b"'<f4'", b"'zzz'"), "cannot read the header"),
        ]:
            self.saved(bytes)
            with self.assertRaisesRegex(ValueError, message):
                bn.append(self.path, rows)
            self.assertEqual(self.bytes(), bytes)

    def test_after_an_error_the_file_has_its_old_rows(self):
        bn.append(self.path, np.arange(4))
        old = self.bytes()
        write, sync = bn._write, os.fsync
        for fails_at in range(4):
            calls = []

            def failing(work, *arguments):
                calls.append(work)
                if len(calls) == fails_at + 1:
                    # A part of the bytes is written.
                    if work is write:
                        write(arguments[0], arguments[1][:5])
                    raise OSError("disk full")
                work(*arguments)

            with mock.patch.object(bn, "_write", lambda *a: failing(write, *a)):
                with mock.patch.object(os, "fsync", lambda *a: failing(sync, *a)):
                    with self.assertRaisesRegex(OSError, "disk full"):
                        bn.append(self.path, np.arange(100))
            self.assertEqual(self.bytes(), old, fails_at)


class Order(unittest.TestCase):
    def test_an_order_has_each_row_once_and_a_part_is_a_part(self):
        for length in [0, 1, 100, 4097, 200_000]:
            order = bn.shuffled(length, 42, 3)
            self.assertEqual(order.dtype, np.int64)
            np.testing.assert_array_equal(np.sort(order), np.arange(length))
            at = np.arange(length)[::-7].reshape(-1, 1)
            np.testing.assert_array_equal(bn.permutation_at(at, length, 42, 3), order[at])

    def test_epochs_and_seeds_differ_and_may_be_of_any_integer_type(self):
        first = bn.shuffled(5000, 1, 2).tolist()
        self.assertEqual(bn.shuffled(5000, np.uint64(1), np.int32(2)).tolist(), first)
        self.assertNotEqual(bn.shuffled(5000, 2, 1).tolist(), first)

    def test_bad_arguments_are_errors(self):
        for error, call in [
            (ValueError, lambda: bn.shuffled(10, -1)),
            (ValueError, lambda: bn.shuffled(10, 0, 1 << 64)),
            (TypeError, lambda: bn.shuffled(10, 0.5)),
            (IndexError, lambda: bn.permutation_at([10], 10, 0)),
            (IndexError, lambda: bn.permutation_at([-1], 10_000, 0)),
            (ValueError, lambda: bn.permutation_at([0], (1 << 63) + 1, 0)),
            (ValueError, lambda: bn.shuffled(-1, 0)),
            (ValueError, lambda: bn.windows(10, 3, 0)),
            (ValueError, lambda: bn.windows(10, 0, 1)),
            (ValueError, lambda: bn.blocks(10, 0, 1, 1)),
            (ValueError, lambda: bn.blocks(10, 1, 0, 1)),
            (ValueError, lambda: bn.blocks_first(10, 0, 1, 1, epoch=1)),
            (ValueError, lambda: bn.bucketed([1, 2], 0, 1)),
            (ValueError, lambda: bn.max_tokens([], 0, 1)),
            (ValueError, lambda: bn.with_replacement(0, 1, 2, 3)),
            (ValueError, lambda: bn.weighted([1.0, np.nan], 1)),
            (ValueError, lambda: bn.weighted([0.0, 0.0], 1)),
            (ValueError, lambda: bn.weighted_without_replacement([1.0, 0.0], 1, draws=2)),
            (ValueError, lambda: bn.balanced([], 1)),
            (ValueError, lambda: bn.max_tokens([3, 9], 8, 1)),
            (ValueError, lambda: bn.epoch_len(lambda one: bn.shuffled(0, 1, one), 5)),
            (ValueError, lambda: bn.batches(10, 0)),
            (ValueError, lambda: bn.batches(10, 1, shard=(2, 2))),
            (ValueError, lambda: bn.batches(10, 1, remainder="keep")),
            (ValueError, lambda: bn.split(10, [0.5, 0.6], 1)),
            (ValueError, lambda: bn.k_fold(3, 4, 1)),
            (ValueError, lambda: bn.PositionRng(0, 0, -1)),
        ]:
            with self.assertRaises(error):
                call()

    def test_batches_have_each_position_once(self):
        for length in [0, 1, 31, 32, 100]:
            found = [own for own, _ in bn.batches(length, 8)]
            np.testing.assert_array_equal(np.concatenate([[], *found]), np.arange(length))

    def test_chances_and_bounds(self):
        rng = bn.PositionRng(1, 2, 3)
        self.assertEqual(rng.below(0), 0)
        self.assertEqual({rng.below(3) for _ in range(100)}, {0, 1, 2})
        self.assertTrue(all(rng.chance(1.0) and not rng.chance(0.0) for _ in range(20)))


if __name__ == "__main__":
    unittest.main()
