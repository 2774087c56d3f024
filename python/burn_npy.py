"""Files for burn-npy, and the order in which it reads their rows, in NumPy.

Copy this file beside a script, and import it. It needs Python 3.9 and NumPy, nothing else.

    import burn_npy as bn

    # An archive of aligned arrays, and rows behind those of a file.
    bn.savez("train.npz", images=images, labels=labels)
    bn.append("scores.npy", rows)

    # The rows that `shuffle(42)` loads in epoch 3, in batches of 32.
    order = bn.shuffled(60_000, seed=42, epoch=3)
    for positions, _ in bn.batches(len(order), 32):
        rows = order[positions]

Each function that gives an order is the twin of the method of `Sampler` of its name; those that
give parts of the rows are twins of the methods of `Partition`. An order is an `int64` array: the
row of the dataset at each position of the epoch. A dataset may be a selection of a file, as after
`skip` or `split`; its rows are then numbered anew. Seeds and epochs are numbers from 0 to 2^64 - 1.

With `rows[order]`, where the order is over `len(rows)` rows, a list of rows is ordered, as
`Sampler::index` does it. `windows` gives the list of `Sampler::windows`.

The orders are those of `Order::VERSION` 3. The tests of burn-npy compare them with this file.
"""

from __future__ import annotations

import ast
import contextlib
import math
import operator
import os
import stat
import struct
import zipfile
from typing import IO, Any, Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike


def savez(path: str | os.PathLike[str], /, **arrays: ArrayLike) -> None:
    """Writes arrays to a `.npz` archive, named by their keywords, as `np.savez` does.

    They are stored without compression, and the data of each starts at a multiple of 64 bytes. So
    burn-npy can borrow them where they are mapped, which is rarely possible with the arrays of
    `np.savez`. `np.load` reads the archive. The same arrays give the same bytes. Nothing is added
    to the path.

    The archive is written to a new file, which then takes the place of the old one: a program that
    has the old file open keeps it. The new file has the mode of the old one.

    Raises `ValueError` for arrays of Python objects, and `OSError`.
    """
    found = {name: np.asanyarray(array) for name, array in arrays.items()}
    for name, array in found.items():
        _check_saved(f"{path}, array {name!r}", array.dtype)
        if "\0" in name or name + ".npy" in found:
            raise ValueError(f"{path}: two arrays of the name {name!r}, or a NUL character in it")
    with _replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in found.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.external_attr = 0o644 << 16
            # The data follows 30 bytes, the name, our extra field of at least 6 bytes, and that of
            # zip64 of 20 bytes, which `zipfile` adds.
            data_at = file.tell() + 30 + len(member.filename.encode()) + 6 + 20
            padding = -data_at % 64
            # The field that Android's zipalign introduced: the alignment and then zeros.
            member.extra = struct.pack("<HHH", 0xD935, 2 + padding, 64) + bytes(padding)
            with archive.open(member, "w", force_zip64=True) as out:
                np.lib.format.write_array(out, array, allow_pickle=False)


def append(path: str | os.PathLike[str], rows: ArrayLike) -> None:
    """Appends rows to a `.npy` file, which is created if it does not exist.

    The file and `rows` must have the same dtype, up to the byte order, and rows of the same shape.
    The file must not be in Fortran order. Its rows are neither copied nor read, and `rows` may be a
    memory map that is larger than memory. Append many rows at once: each call waits for the disk.

    The new rows are on the disk before the header counts them, so a reader always sees the old rows
    or all of them, also after a crash. After an error the file has its old rows. Bytes after the
    data are lost. Only if the new number of rows does not fit into the header, the whole file is
    replaced by a new one. There is no lock: two programs must not append at the same time.

    Raises `ValueError` if the rows or the file are of another kind, and `OSError`.
    """
    rows = np.asarray(rows)
    if rows.ndim == 0:
        raise ValueError(f"{path}: an array without axes has no rows to append")
    _check_saved(f"{path}, rows", rows.dtype)
    descr = np.lib.format.dtype_to_descr(rows.dtype)
    if not _is_file(path):
        with _replacing(path) as new:
            new.write(_header(descr, rows.shape))
            new.writelines(_pieces(rows))
        return
    # Without a buffer, so that nothing is written later after an error.
    with open(path, "r+b", buffering=0) as file:
        old, start, fields = _read_header(path, file)
        shape, dtype = fields["shape"], np.lib.format.descr_to_dtype(fields["descr"])
        # Only the byte order may differ. Dtypes of `ml_dtypes` are opaque in the file.
        same = descr == fields["descr"]
        if not same and not np.can_cast(rows.dtype, dtype, "equiv"):
            raise ValueError(f"{path}: the file has items of {dtype}, the rows {rows.dtype}")
        pieces = _pieces(rows, None if same else dtype)
        if len(shape) == 0 or shape[1:] != rows.shape[1:]:
            found = f"an array of shape {shape} has no rows of shape {rows.shape[1:]}"
            raise ValueError(f"{path}: {found}")
        if fields["fortran_order"] and sum(n != 1 for n in shape) > 1:
            raise ValueError(f"{path}: the file is in Fortran order, where rows cannot be appended")
        end = len(old) + dtype.itemsize * math.prod(shape)
        size = file.seek(0, os.SEEK_END)
        if size < end:
            raise ValueError(f"{path}: the file has {size} bytes, its header says {end}")
        file.seek(end)
        if file.read(6) == _MAGIC:
            raise ValueError(f"{path}: another array follows in the file")
        shape = (shape[0] + len(rows), *shape[1:])
        text = _dictionary(fields["descr"], shape)
        new_head = old[:start] + text.encode(_encoding(old)).ljust(len(old) - start - 1) + b"\n"
        if len(new_head) == len(old):
            _add(path, file, old, new_head, end, pieces)
            return
        with _replacing(path) as new:
            new.write(_header(fields["descr"], shape))
            file.seek(len(old))
            for at in range(len(old), end, _PIECE):
                new.write(file.read(min(_PIECE, end - at)))
            new.writelines(pieces)


_MAGIC = b"\x93NUMPY"
_PIECE = 1 << 24


def _add(
    path: Any, file: IO[bytes], old: bytes, new: bytes, end: int, pieces: Iterator[bytes]
) -> None:
    """Writes the rows at `end`, and then the header that counts them."""
    try:
        file.seek(end)
        for piece in pieces:
            _write(file, piece)
        file.truncate()
        os.fsync(file.fileno())
        file.seek(0)
        _write(file, new)
        os.fsync(file.fileno())
    except BaseException as error:
        try:
            file.seek(0)
            if file.read(len(old)) != old:
                file.seek(0)
                _write(file, old)
                # Only then may the rows go, or a crash could leave a header that counts them.
                os.fsync(file.fileno())
            file.truncate(end)
        except OSError as why:
            message = "the rows could not be written, and the file could not be put back"
            raise OSError(
                f"{path}: {message} ({why}): look at its number of rows before you append again"
            ) from error
        raise


def _write(file: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _pieces(rows: np.ndarray, dtype: np.dtype | None = None) -> Iterator[bytes]:
    """The bytes of the rows in C order, as items of another dtype if there is one."""
    count = max(1, _PIECE // max(1, rows[:1].nbytes))
    for start in range(0, len(rows), count):
        piece = rows[start : start + count]
        yield (piece if dtype is None else piece.astype(dtype)).tobytes()


def _check_saved(what: str, dtype: np.dtype) -> None:
    if dtype.hasobject:
        raise ValueError(f"{what}: Python objects are not saved; use an array of numbers")
    try:
        np.lib.format.descr_to_dtype(np.lib.format.dtype_to_descr(dtype))
    except TypeError:
        opaque = f"array.view('V{dtype.itemsize}')"
        raise ValueError(f"{what}: np.load does not read {dtype}; save {opaque}") from None


def _dictionary(descr: Any, shape: Sequence[int]) -> str:
    return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"


def _encoding(head: bytes) -> str:
    return "utf-8" if head[6] == 3 else "latin-1"


def _header(descr: Any, shape: Sequence[int]) -> bytes:
    """A header in C order, with room for more rows."""
    text = _dictionary(descr, shape).encode()
    narrow = text.isascii() and len(text) < 60_000
    start = 10 if narrow else 12
    # The longest number of rows has 21 digits in NumPy.
    room = len(text) + 21 - len(str(shape[0])) + 1
    size = -(-(start + room) // 64) * 64 - start
    prefix = _MAGIC + (b"\1\0" if narrow else b"\3\0") + size.to_bytes(start - 8, "little")
    return prefix + text.ljust(size - 1) + b"\n"


def _read_header(path: Any, file: IO[bytes]) -> tuple[bytes, int, dict[str, Any]]:
    """The bytes of a header, where its dictionary starts, and the dictionary."""
    head = file.read(12)
    if head[:6] != _MAGIC or head[6:8] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise ValueError(f"{path}: no .npy file of version 1, 2 or 3")
    start = 10 if head[6] == 1 else 12
    size = int.from_bytes(head[8:start], "little")
    # The limit of `np.load`.
    if size > 10_000:
        raise ValueError(f"{path}: a header of {size} bytes")
    file.seek(0)
    head = file.read(start + size)
    try:
        fields = ast.literal_eval(head[start:].decode(_encoding(head)).strip())
        if set(fields) != {"descr", "fortran_order", "shape"}:
            raise ValueError(f"keys {sorted(fields)}")
        if not all(isinstance(n, int) and n >= 0 for n in fields["shape"]):
            raise ValueError(f"shape {fields['shape']!r}")
        fields["shape"] = tuple(fields["shape"])
        np.lib.format.descr_to_dtype(fields["descr"])
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{path}: cannot read the header: {error}") from None
    return head, start, fields


def _is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a file. If there is something else, it is an error."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path}: only regular files are written to")
    return os.path.exists(path)


@contextlib.contextmanager
def _replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A new file that takes the place of the old one when it is complete."""
    # Symbolic links stay.
    target = os.path.realpath(path)
    mode = stat.S_IMODE(os.stat(target).st_mode) & 0o777 if _is_file(target) else None
    new = os.path.join(os.path.dirname(target), f".tmp{os.urandom(8).hex()}")

    def opener(name: str, flags: int) -> int:
        # Nobody who may not read the old file can open the new one.
        return os.open(name, flags, 0o666 if mode is None else 0o600)

    try:
        with open(new, "x+b", opener=opener) as file:
            yield file
            file.flush()
            if mode is not None:
                os.chmod(new, mode)
            os.fsync(file.fileno())
        os.replace(new, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(new)
        raise


# Random numbers of 64 bits, all of which the orders are computed from.

_ALL = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mix(x: Any) -> Any:
    """The finalizer of SplitMix64, for a number or an array."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _ALL
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _ALL
    return x ^ x >> 31


def _word(number: int, what: str) -> int:
    number = operator.index(number)
    if not 0 <= number <= _ALL:
        raise ValueError(f"the {what} is {number}, expected 0 to 2^64 - 1")
    return number


def _part(seed: int, tag: int, number: int = 0) -> int:
    """An independent seed for a use of randomness, which `tag` names, and for a part of it."""
    return int(_mix(_mix(_word(seed, "seed") ^ _mix(tag)) + number * _GOLDEN & _ALL))


def _numbers(seed: int, epoch: int, index: Any) -> Any:
    """The random number at an index of the stream of an epoch, or those at many."""
    seed, epoch = _word(seed, "seed"), _word(epoch, "epoch")
    first = _mix(_mix(seed + _GOLDEN & _ALL) + epoch & _ALL)
    second = _mix(_mix(epoch ^ _GOLDEN) + seed & _ALL)
    first = first + (index + 1) * _GOLDEN & _ALL
    second = second + (index + 1) * 0xD1B54A32D192ED03 & _ALL
    return _mix(first) ^ _mix(second)


def _upto(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint64)


def _below(numbers: np.ndarray, bound: Any) -> np.ndarray:
    """The upper halves of the products, which are below the bound."""
    low, bound = 0xFFFFFFFF, np.atleast_1d(np.asarray(bound, np.uint64))
    middle = (numbers >> 32) * (bound & low) + ((numbers & low) * (bound & low) >> 32)
    other = (numbers & low) * (bound >> 32) + (middle & low)
    upper = (numbers >> 32) * (bound >> 32) + (middle >> 32) + (other >> 32)
    return np.asarray(upper, np.int64)


def shuffled(length: int, seed: int, epoch: int = 0) -> np.ndarray:
    """All rows in a random order. `permutation_at` gives a part of it."""
    return permutation_at(np.arange(length), length, seed, epoch)


def permutation_at(positions: ArrayLike, length: int, seed: int, epoch: int = 0) -> np.ndarray:
    """The rows at some positions of `shuffled`, in any shape. The length is at most 2^63.

    Up to 4,096 rows it is a shuffle by Fisher and Yates; above, a Feistel network of 8 rounds over
    the least number of bits, applied again while a row is not below the length.

    Raises `IndexError` for a position that is not below the length.
    """
    positions = np.asarray(positions)
    if not 0 <= length <= 1 << 63:
        raise ValueError(f"{length} rows; there are from 0 to 2^63")
    if positions.size and not (0 <= positions.min() and positions.max() < length):
        raise IndexError(f"positions {positions.min()} to {positions.max()} of {length} rows")
    if length <= 4096:
        table = list(range(length))
        last = np.arange(1, length, dtype=np.uint64)[::-1]
        others = _below(_numbers(seed, epoch, _upto(len(last))), last + np.uint64(1))
        for one, other in zip(last.tolist(), others.tolist()):
            table[one], table[other] = table[other], table[one]
        return np.array(table, np.int64)[positions.astype(np.int64)]
    keys = [_numbers(seed, epoch, index) & 0xFFFFFFFF for index in range(8)]
    bits = (length - 1).bit_length()
    rows = positions.astype(np.uint64).ravel()
    for start in range(0, len(rows), 1 << 16):
        part = rows[start : start + (1 << 16)]
        outside: Any = slice(None)
        while part[outside].size:
            part[outside] = _feistel(part[outside], keys, bits)
            outside = np.flatnonzero(part >= length)
    return rows.astype(np.int64).reshape(positions.shape)


def _feistel(values: np.ndarray, keys: list[int], bits: int) -> np.ndarray:
    low_bits = (bits + 1) // 2
    low = (values & (1 << low_bits) - 1).astype(np.uint32)
    high = (values >> low_bits).astype(np.uint32)

    def mixed(half: np.ndarray, key: int, bits: int) -> np.ndarray:
        x = (half ^ key) * 0x7FEB352D
        return (x ^ x >> 15) * 0x846CA68B >> 32 - bits

    for first, second in zip(keys[::2], keys[1::2]):
        low ^= mixed(high, first, low_bits)
        high ^= mixed(low, second, bits - low_bits)
    return high.astype(np.uint64) << low_bits | low


def blocks(length: int, block_size: int, mixed: int, seed: int, epoch: int = 0) -> np.ndarray:
    """All rows: blocks of consecutive rows are shuffled, then the rows of each `mixed` blocks."""
    if block_size < 1 or mixed < 1:
        raise ValueError(f"blocks of {block_size} rows, {mixed} mixed at a time")
    block_size = min(block_size, max(1, length))
    count = -(-length // block_size)
    order = shuffled(count, _part(seed, 1), epoch)
    found = [np.empty(0, np.int64)]
    for number, start in enumerate(range(0, count, mixed)):
        rows = order[start : start + mixed, None] * block_size + np.arange(block_size)
        # The last block of the file may be short.
        rows = rows[rows < length]
        found.append(rows[shuffled(len(rows), _part(seed, 2, number), epoch)])
    return np.concatenate(found)


def blocks_first(
    length: int, block_size: int, mixed: int, seed: int, epoch: int = 0
) -> np.ndarray:
    """All rows: as `blocks` in epoch 0, and as `shuffled` in all others."""
    first = blocks(length, block_size, mixed, seed)
    return first if epoch == 0 else shuffled(length, seed, epoch)


def with_replacement(
    length: int, seed: int, epoch: int = 0, draws: int | None = None
) -> np.ndarray:
    """Rows drawn with replacement, each as likely as any other; `length` draws by default."""
    draws = length if draws is None else draws
    if length == 0 and draws > 0:
        raise ValueError(f"{draws} draws, but there are no rows")
    return _below(_numbers(_part(seed, 10), epoch, _upto(draws)), length)


def weighted(
    weights: ArrayLike, seed: int, epoch: int = 0, draws: int | None = None
) -> np.ndarray:
    """Rows drawn with replacement, in proportion to their weights, by the alias method.

    By default there are as many draws as weights.
    """
    weights = _weights(weights)
    count, heaviest = len(weights), int(weights.argmax())
    # The sums are in the order of the rows, which `np.sum` and `sum` do not promise.
    shares = weights / weights[heaviest]
    shares = (shares * (count / np.add.accumulate(shares)[-1])).tolist()
    small = [row for row in range(count) if shares[row] < 1.0]
    large = [row for row in range(count) if shares[row] >= 1.0]
    height = np.where(weights > 0, np.uint64(_ALL), np.uint64(0))
    other = np.where(weights > 0, np.arange(count), heaviest)
    while small and large:
        row, more = small.pop(), large[-1]
        height[row], other[row] = int(shares[row] * 2.0**64), more
        shares[more] = (shares[more] + shares[row]) - 1.0
        if shares[more] < 1.0:
            small.append(large.pop())
    numbers = _numbers(_part(seed, 3), epoch, _upto(count if draws is None else draws))
    picked = _below(numbers, count)
    return np.where(numbers * np.uint64(count) < height[picked], picked, other[picked])


def weighted_without_replacement(
    weights: ArrayLike, seed: int, epoch: int = 0, draws: int | None = None
) -> np.ndarray:
    """Rows drawn without replacement, in proportion to their weights.

    By default it draws all rows with a weight above zero.
    """
    weights = _weights(weights)
    rows = np.flatnonzero(weights)
    if draws is not None and draws > len(rows):
        raise ValueError(f"{draws} draws without replacement, but {len(rows)} rows can be drawn")
    numbers = _numbers(_part(seed, 4), epoch, rows.astype(np.uint64))
    random = ((numbers >> 11).astype(np.float64) + 0.5) / 2.0**53
    with np.errstate(over="ignore"):
        keys = -_ln(random) / weights[rows]
    return rows[np.argsort(keys, kind="stable")[:draws]].astype(np.int64)


def _weights(weights: ArrayLike) -> np.ndarray:
    weights = np.asarray(weights, np.float64)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0.0)))
    if wrong.size:
        found = f"weight {wrong[0]} is {weights[wrong[0]]}"
        raise ValueError(f"{found}, expected a finite number that is not negative")
    if not weights.any():
        raise ValueError(f"all {len(weights)} weights are zero")
    return weights


def _ln(x: np.ndarray) -> np.ndarray:
    """The logarithm by basic operations alone, the same on each machine."""
    bits = x.view(np.uint64)
    exponent = (bits >> 52).astype(np.int64) - 1023
    m = (bits & (1 << 52) - 1 | 1023 << 52).view(np.float64)
    large = m > math.sqrt(2.0)
    m, exponent = np.where(large, m * 0.5, m), exponent + large
    s = (m - 1.0) / (m + 1.0)
    series = np.zeros_like(s)
    for k in range(11, -1, -1):
        series = series * (s * s) + 1.0 / (2 * k + 1)
    return exponent * math.log(2.0) + 2.0 * s * series


def balanced(
    labels: ArrayLike, seed: int, epoch: int = 0, draws: int | None = None
) -> np.ndarray:
    """Rows drawn so that each class, the rows of one label, comes equally often.

    A round has a row of each class. By default there are as many draws as labels.
    """
    classes = _classes(labels)
    drawn = np.empty(np.size(labels) if draws is None else draws, np.int64)
    if not classes:
        raise ValueError("no labels to balance")
    shuffles: dict[int, np.ndarray] = {}
    order: list[int] = []
    for at in range(len(drawn)):
        turn, place = divmod(at, len(classes))
        if place == 0:
            order = shuffled(len(classes), _part(seed, 5, turn), epoch).tolist()
        one = order[place]
        cycle, within = divmod(turn, len(classes[one]))
        if within == 0:
            seed_of = _part(_part(seed, 6, one), 6, cycle)
            shuffles[one] = classes[one][shuffled(len(classes[one]), seed_of, epoch)]
        drawn[at] = shuffles[one][within]
    return drawn


def _classes(labels: ArrayLike) -> list[np.ndarray]:
    """The rows of each label, by ascending label."""
    labels = np.asarray(labels)
    order = np.argsort(labels, kind="stable").astype(np.int64)
    ends = np.flatnonzero(labels[order][1:] != labels[order][:-1]) + 1
    return np.split(order, ends) if len(labels) else []


def bucketed(lengths: ArrayLike, batch_size: int, seed: int, epoch: int = 0) -> np.ndarray:
    """All rows in an order in which the rows of a batch have similar lengths."""
    if batch_size < 1:
        raise ValueError(f"batches of {batch_size} rows")
    lengths = np.asarray(lengths)
    order = shuffled(len(lengths), _part(seed, 9), epoch)
    full = len(order) // batch_size * batch_size
    pools = [order[:0]]
    for start in range(0, full, 100 * batch_size):
        pool = order[start : min(start + 100 * batch_size, full)]
        pools.append(pool[np.argsort(lengths[pool], kind="stable")])
    made = np.concatenate(pools).reshape(-1, batch_size)
    made = made[shuffled(len(made), _part(seed, 9, 1), epoch)]
    return np.concatenate([made.ravel(), order[full:]])


def max_tokens(
    lengths: ArrayLike, max_tokens: int, seed: int, epoch: int = 0
) -> list[np.ndarray]:
    """All rows in batches, each of as many rows of similar lengths as fit.

    A batch is padded to the length of its longest row; then it has at most `max_tokens` tokens. A
    row of length 0 counts as one of length 1. The order is the batches one after the other. With
    shards, `batches(len(found), 1, ...)` divides the batches.
    """
    if max_tokens < 1:
        raise ValueError(f"batches of {max_tokens} tokens")
    known = [max(1, int(length)) for length in np.asarray(lengths).tolist()]
    for row, length in enumerate(known):
        if length > max_tokens:
            raise ValueError(f"row {row} has length {length}, a batch has {max_tokens} tokens")
    order = shuffled(len(known), _part(seed, 11), epoch).tolist()
    size = max(1, 100 * max_tokens * len(known) // max(1, sum(known)))
    made: list[np.ndarray] = []
    for start in range(0, len(order), size):
        pool = sorted(order[start : start + size], key=known.__getitem__)
        first = 0
        for at, row in enumerate(pool):
            if (at - first + 1) * known[row] > max_tokens:
                made.append(np.array(pool[first:at], np.int64))
                first = at
        made.append(np.array(pool[first:], np.int64))
    return [made[one] for one in shuffled(len(made), _part(seed, 11, 1), epoch)]


def epoch_len(order: Callable[[int], np.ndarray], length: int, epoch: int = 0) -> np.ndarray:
    """Epoch `epoch` of those of `length` positions, which go on where the one before ended.

    `order` gives the order of a pass over all rows, by its number:
    `epoch_len(lambda one: shuffled(1000, 42, one), 400, epoch=2)`.
    """
    count = len(order(0))
    if count == 0:
        raise ValueError(f"epochs of {length} positions, but there are no rows")
    one, skip = divmod(epoch * length, count)
    found: list[np.ndarray] = []
    while length > 0:
        found.append(order(one & _ALL)[skip : skip + length])
        length -= len(found[-1])
        one, skip = one + 1, 0
    return np.concatenate(found)


def windows(length: int, window: int, stride: int) -> np.ndarray:
    """The first rows of the windows of `window` rows, `stride` apart, over `length` rows."""
    if length < 0 or window < 1 or stride < 1:
        raise ValueError(f"windows of {window} rows, {stride} apart, over {length} rows")
    return np.arange(0, max(0, length - window + 1), stride, dtype=np.int64)


def batches(
    length: int,
    batch_size: int,
    shard: tuple[int, int] = (0, 1),
    drop_last: bool = False,
    remainder: str = "drop",
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The positions of each batch of a shard, and those that pad it.

    `shard` is the index of the shard and how many there are. In each step every shard gets a batch,
    in turn. `remainder` says what happens to positions that are too few for another step: `drop`
    and `pad` give every shard equally many, and `uneven` neither drops nor repeats any. Nor does
    `spread`, which gives every shard as many batches: if every shard cannot have a position, the
    last step becomes two smaller ones.
    """
    index, count = shard
    if batch_size < 1 or not 0 <= index < count:
        raise ValueError(f"batches of {batch_size} for shard {index} of {count}")
    step = batch_size * count
    full = length // step * step
    cuts = [full, length]
    if remainder == "spread" and not drop_last and 0 < length - full < count:
        if full > 0 and batch_size > 1:
            full -= step
            cuts = [full, full + (length - full) // 2, length]
    starts = range(index * batch_size, full, step)
    found = [(np.arange(start, start + batch_size), np.arange(0)) for start in starts]
    if remainder == "spread":
        for start, end in zip(cuts, cuts[1:]):
            size, larger = divmod(end - start, count)
            if size > 0 and not drop_last:
                start += index * size + min(index, larger)
                found.append((np.arange(start, start + size + (index < larger)), np.arange(0)))
        return found
    low, larger = divmod(length - full, count)
    sizes = {
        "drop": (low, 0),
        "pad": (-(-(length - full) // count), batch_size),
        "uneven": (low, batch_size),
    }
    if remainder not in sizes:
        raise ValueError(f"remainder {remainder!r}, expected one of {[*sizes, 'spread']}")
    size = sizes[remainder][drop_last] if length > full else 0
    larger = larger if remainder == "uneven" and not drop_last else 0
    start = min(full + index * size + min(index, larger), length)
    own = np.arange(start, min(start + size + (index < larger), length))
    if remainder == "uneven" and drop_last and len(own) < size:
        own = own[:0]
    padding = np.arange(0)
    if remainder == "pad" and size > len(own):
        # The shards before this one have the first positions of the padding.
        before = max(0, index * size - (length - full))
        padding = np.arange(before, before + size - len(own)) % length
    if len(own) or len(padding):
        found.append((own, padding))
    return found


def split(length: int, shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """The rows of parts with these shares of all rows, each ascending."""
    return _apportion(shuffled(length, _part(seed, 7)), shares)


def stratified_split(labels: ArrayLike, shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """The rows of parts with these shares of the rows of each label, each ascending."""
    return _apportion(_by_class(labels, seed), shares)


def grouped_split(groups: ArrayLike, shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """The rows of parts with about these shares, each ascending, so that no group is in two."""
    _check_shares(shares)
    return _apportion_groups(_classes(groups), shares, seed)


def k_fold(length: int, count: int, seed: int) -> list[np.ndarray]:
    """The rows of `count` parts whose sizes differ by at most one, each ascending."""
    return _deal(shuffled(length, _part(seed, 7)), count)


def stratified_k_fold(labels: ArrayLike, count: int, seed: int) -> list[np.ndarray]:
    """As `k_fold`, where the numbers of rows of each label differ by at most one, too."""
    return _deal(_by_class(labels, seed), count)


def grouped_k_fold(groups: ArrayLike, count: int, seed: int) -> list[np.ndarray]:
    """As `grouped_split` with `count` equal shares."""
    classes = _classes(groups)
    _check_count(len(classes), count, "groups")
    return _apportion_groups(classes, [1.0 / count] * count, seed)


def _by_class(labels: ArrayLike, seed: int) -> np.ndarray:
    classes = enumerate(_classes(labels))
    rows = [one[shuffled(len(one), _part(seed, 7, number))] for number, one in classes]
    return np.concatenate([np.empty(0, np.int64), *rows])


def _deal(rows: np.ndarray, count: int) -> list[np.ndarray]:
    _check_count(len(rows), count, "rows")
    return [np.sort(rows[part::count]) for part in range(count)]


def _apportion(rows: np.ndarray, shares: Sequence[float]) -> list[np.ndarray]:
    """Gives each row to the part that is furthest below its share."""
    _check_shares(shares)
    parts: list[list[int]] = [[] for _ in shares]
    for done, row in enumerate(rows.tolist(), 1):
        missing = [share * done - len(part) for share, part in zip(shares, parts)]
        parts[missing.index(max(missing))].append(row)
    return [np.sort(np.array(part, np.int64)) for part in parts]


def _apportion_groups(
    groups: list[np.ndarray], shares: Sequence[float], seed: int
) -> list[np.ndarray]:
    """Gives each group to the part that is furthest below its share, the largest group first."""
    order = shuffled(len(groups), _part(seed, 9)).tolist()
    order.sort(key=lambda group: -len(groups[group]))
    length, given = sum(map(len, groups)), [0] * len(shares)
    parts = [[np.empty(0, np.int64)] for _ in shares]
    for group in order:
        missing = [share * length - some for share, some in zip(shares, given)]
        furthest = missing.index(max(missing))
        given[furthest] += len(groups[group])
        parts[furthest].append(groups[group])
    return [np.sort(np.concatenate(part)) for part in parts]


def _check_shares(shares: Sequence[float]) -> None:
    if not (all(0.0 <= share <= 1.0 for share in shares) and abs(sum(shares) - 1.0) < 1e-9):
        raise ValueError(f"shares {shares}, expected numbers from 0 to 1 that add up to 1")


def _check_count(length: int, count: int, of: str) -> None:
    if not 2 <= count <= length:
        raise ValueError(f"{count} folds of {length} {of}")


class PositionRng:
    """The random numbers for one position of an epoch: Philox4x32-10.

    They depend on the seed of the sampler (0 if it has none), the epoch and the position. Stream 0
    is that of `PositionRng::new` and `BatchInfo::rng`. The transforms of a column, the `map`s in
    their order, have the streams 1, 2 and so on.
    """

    def __init__(self, seed: int, epoch: int, position: int, stream: int = 0) -> None:
        key = _numbers(_part(seed, 8, stream), epoch, 0)
        self._key = key & 0xFFFFFFFF, key >> 32
        self._position = position & 0xFFFFFFFF, _word(position, "position") >> 32
        self._used = 0

    def words(self, count: int) -> np.ndarray:
        """The next `count` numbers of 32 bits, as `uint32`."""
        first, skip = divmod(self._used, 4)
        block = _upto(-(-(skip + count) // 4)) + np.uint64(first)
        found = _philox((block & 0xFFFFFFFF, block >> 32, *self._position), self._key)
        self._used += count
        return np.stack(found, axis=-1).ravel()[skip : skip + count].astype(np.uint32)

    def u32(self) -> int:
        """The next number of 32 bits."""
        block, word = divmod(self._used, 4)
        self._used += 1
        found = _philox((block & 0xFFFFFFFF, block >> 32, *self._position), self._key)
        return int(found[word])

    def u64(self) -> int:
        """A number of 64 bits, made of the next two, the lower half first."""
        low = self.u32()
        return self.u32() << 32 | low

    def below(self, n: int) -> int:
        """A number below `n`, each with the same probability; 0 if `n` is 0."""
        while True:
            product = self.u64() * n
            if product & _ALL >= n or product & _ALL >= 2**64 % n:
                return product >> 64

    def chance(self, p: float) -> bool:
        """Whether an event of probability `p` happens."""
        return (self.u64() >> 11) / 2**53 < p


def _philox(counter: tuple[Any, ...], key: tuple[int, int]) -> tuple[Any, ...]:
    (a, b, c, d), (k, l) = counter, key
    for _ in range(10):
        x, y = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (y >> 32) ^ b ^ k, y & 0xFFFFFFFF, (x >> 32) ^ d ^ l, x & 0xFFFFFFFF
        k, l = k + 0x9E3779B9 & 0xFFFFFFFF, l + 0xBB67AE85 & 0xFFFFFFFF
    return a, b, c, d
