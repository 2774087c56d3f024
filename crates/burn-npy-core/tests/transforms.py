"""What the transforms of burn-npy make of a few rows, in NumPy, from their description alone.

Prints `transforms.txt`: for each case and position, `name position: element element ...`. Elements
of floats are printed as their bits, in hexadecimal.
"""

import math
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "../../../python"))
try:
    import numpy as np

    from burn_npy import PositionRng
except ModuleNotFoundError as error:
    sys.exit(f"{error}: this needs NumPy, and python/burn_npy.py of the repository")

SEED, EPOCH = 42, 3


def log(x):
    """The logarithm of FreeBSD's `e_log.c`, for normal numbers."""
    bits = struct.unpack("<Q", struct.pack("<d", x))[0]
    high = (bits >> 32) + 0x3FF00000 - 0x3FE6A09E
    k = float((high >> 20) - 0x3FF)
    high = (high & 0xFFFFF) + 0x3FE6A09E
    f = struct.unpack("<d", struct.pack("<Q", high << 32 | bits & 0xFFFFFFFF))[0] - 1.0
    half = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (0.3999999999940942 + w * (0.22222198432149784 + w * 0.15313837699209373))
    odd = w * (0.2857142874366239 + w * (0.1818357216161805 + w * 0.14798198605116586))
    r = z * (0.6666666666666735 + odd) + even
    return s * (half + r) + k * 1.9082149292705877e-10 - half + f + k * 0.6931471803691238


# Of AS 241, PPND16, the highest power first.
MIDDLE = [
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457),
    (13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867),
    (5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
]
TAIL = [
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177),
    (1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055),
    (4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966),
    (0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494),
    (2.05319162663775882187, 1.0),
]
FAR_TAIL = [
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386),
    (0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358),
    (5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5),
    (7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531),
    (0.59983220655588793769, 1.0),
]


def quotient(coefficients, x):
    half = len(coefficients) // 2
    sums = []
    for part in coefficients[:half], coefficients[half:]:
        sums.append(0.0)
        for coefficient in [number for line in part for number in line]:
            sums[-1] = sums[-1] * x + coefficient
    return sums[0] / sums[1]


def normal(u):
    """The quantile of the standard normal distribution."""
    q = u - 0.5
    if abs(q) <= 0.425:
        return q * quotient(MIDDLE, 0.180625 - q * q)
    r = math.sqrt(-log(min(u, 1.0 - u)))
    return math.copysign(quotient(TAIL, r - 1.6) if r <= 5 else quotient(FAR_TAIL, r - 5.0), q)


def row(dtype, *shape):
    """The row of a case."""
    count = math.prod(shape)
    return np.array([(7 * i + 3) % 101 for i in range(count)]).astype(dtype).reshape(shape)


def padded(image, axes, borders, fill):
    border = [(0, 0)] * image.ndim
    for axis, one in zip(axes, borders):
        border[axis] = one
    return np.pad(image, border, constant_values=fill)


def part(image, axes, starts, size):
    index = [slice(None)] * image.ndim
    for axis, start, length in zip(axes, starts, size):
        index[axis] = slice(start, start + length)
    return image[tuple(index)]


def random_crop(image, axes, size, pad=0, fill=0, flip=None):
    def transform(rng):
        larger = padded(image, axes, [(pad, pad)] * 2, fill)
        starts = [rng.below(larger.shape[axis] - n + 1) for axis, n in zip(axes, size)]
        crop = part(larger, axes, starts, size)
        return np.flip(crop, axes[1]) if flip is not None and rng.chance(flip) else crop

    return transform


def center_crop(image, axes, size):
    starts = [(image.shape[axis] - n) // 2 for axis, n in zip(axes, size)]
    return lambda _: part(image, axes, starts, size)


def pad(image, axes, borders, fill):
    return lambda _: padded(image, axes, borders, fill)


def random_flip(image, axis, p):
    return lambda rng: np.flip(image, axis) if rng.chance(p) else image


def cutout(image, axes, size, fill):
    def transform(rng):
        new = image.copy()
        index = [slice(None)] * image.ndim
        for axis in axes:
            start = rng.below(image.shape[axis]) - size // 2
            index[axis] = slice(max(start, 0), max(start + size, 0))
        new[tuple(index)] = fill
        return new

    return transform


def one_hot(labels, classes, eps):
    one = np.eye(classes)[labels.astype(np.int64)]
    return lambda _: ((1 - eps) * one + eps / classes).astype(np.float32)


def noise(values, quantile):
    def transform(rng):
        new = []
        for value in values.ravel():
            if values.dtype == np.float64:
                u = ((rng.u64() >> 12) + 0.5) / 2**52
            else:
                u = (rng.u32() + 0.5) / 2**32
            new.append(float(value) + quantile(u))
        return np.array(new).astype(values.dtype)

    return transform


def truncate(sequence, length, random=False):
    def transform(rng):
        more = len(sequence) - length
        first = rng.below(more + 1) if random and more > 0 else 0
        return sequence[first : first + length]

    return transform


def shown(element):
    if element.dtype.kind == "f":
        return f"{int(element.view(f'u{element.itemsize}')):x}"
    return str(int(element))


PLAIN, FIRST, LAST = (0, 1), (1, 2), (0, 1)
cases = {
    "crop": random_crop(row("u1", 4, 5), PLAIN, (2, 3)),
    "crop padded": random_crop(row("i2", 2, 5, 6), FIRST, (5, 6), 2, -7),
    "crop flipped": random_crop(row("u1", 9, 11, 3), LAST, (4, 10), 1, 200, 0.5),
    "crop floats": random_crop(row("f4", 2, 3, 3), FIRST, (3, 3), 4, 0.125, 0.25),
    "center": center_crop(row("u1", 5, 6), PLAIN, (2, 3)),
    "center channels": center_crop(row("f8", 4, 4, 2), LAST, (1, 4)),
    "pad": pad(row("u1", 2, 3), PLAIN, [(1, 1), (1, 1)], 9),
    "pad channels": pad(row("f2", 2, 1, 2), FIRST, [(0, 1), (2, 3)], -0.5),
    "flip horizontal": random_flip(row("u1", 2, 19), 1, 0.5),
    "flip horizontal channels": random_flip(row("u2", 2, 2, 6), 2, 0.5),
    "flip vertical": random_flip(row("i8", 3, 2, 2), 0, 0.75),
    "cutout": cutout(row("u1", 5, 6), PLAIN, 4, 255),
    "cutout channels": cutout(row("f4", 2, 4, 3), FIRST, 3, 0),
    "one hot": one_hot(np.array(3, "u1"), 5, 0.0),
    "one hot smoothed": one_hot(np.array(6, "i8"), 7, 0.1),
    "one hot mask": one_hot(np.array([[0, 2], [1, 1]], "i2"), 3, 0.3),
    "gaussian": noise(row("f4", 3, 4), lambda u: 0.1 * normal(u)),
    "gaussian double": noise(row("f8", 9), lambda u: 2.5 * normal(u)),
    "gaussian many": noise(np.zeros(100, "f4"), normal),
    "uniform": noise(row("f4", 2, 3), lambda u: -1.0 + (3.0 - -1.0) * u),
    "uniform double": noise(row("f8", 4), lambda u: 0.25 + (0.5 - 0.25) * u),
    "truncate": truncate(row("u1", 9), 4),
    "truncate random": truncate(row("u2", 9), 4, True),
    "truncate items": truncate(row("f4", 5, 2), 3, True),
    "truncate short": truncate(row("i8", 3), 3, True),
}
for name, transform in cases.items():
    for position in [0, 1, 2, 3, 4, (1 << 40) + 5]:
        new = np.asarray(transform(PositionRng(SEED, EPOCH, position)))
        print(f"{name} {position}:", *map(shown, new.ravel()))
