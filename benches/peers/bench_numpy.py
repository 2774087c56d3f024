"""NumPy by hand: a permutation, `np.take` from the mapped file, one conversion."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from harness import main


def convert(job, features):
    """Fresh float32 features."""
    if job.scale:
        return np.multiply(features, job.scale, dtype=np.float32)
    return features.astype(np.float32, copy=False)


def orders(job):
    """Starts an epoch: its batches of row numbers."""
    random = np.random.default_rng(0)

    def order():
        rows = random.permutation(job.rows)
        return (rows[start : start + job.batch] for start in range(0, job.rows, job.batch))

    return order


def take(job):
    """A new array for each batch."""
    features, labels = job.map()
    order = orders(job)

    def epoch():
        for rows in order():
            yield convert(job, np.take(features, rows, axis=0, mode="clip")), labels[rows]

    return epoch


def reused_buffer(job):
    """One buffer for all batches: each batch overwrites the one before."""
    features, labels = job.map()
    order = orders(job)
    taken = np.empty((job.batch, *job.row), job.dtype)
    converted = taken if job.dtype == np.float32 else np.empty(taken.shape, np.float32)

    def epoch():
        for rows in order():
            batch = np.take(features, rows, axis=0, out=taken[: len(rows)], mode="clip")
            if job.scale:
                batch = np.multiply(batch, job.scale, out=converted[: len(rows)])
            elif converted is not taken:
                np.copyto(converted[: len(rows)], batch, casting="same_kind")
                batch = converted[: len(rows)]
            yield batch, labels[rows]

    return epoch


def threads(job):
    """A pool of threads that work ahead, in order."""
    features, labels = job.map()
    order = orders(job)
    pool = ThreadPoolExecutor(job.threads)

    def load(rows):
        return convert(job, np.take(features, rows, axis=0, mode="clip")), labels[rows]

    def epoch():
        ahead = deque()
        for rows in order():
            ahead.append(pool.submit(load, rows))
            if len(ahead) == job.threads + 2:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    return epoch


if __name__ == "__main__":
    main("numpy", {"take": take, "reused_buffer": reused_buffer, "threads": threads})
