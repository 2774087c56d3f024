"""A transform that works on each row, on the workers of PyTorch and Grain.

    bench_transforms.py [--quick]

The same as the first part of `benches/transforms.rs`: rows of 784 bytes, for each of which NumPy
computes for 20 microseconds without Python's lock, in shuffled batches of 64. The contenders run in
turn, round by round. A figure is the median; `x none` is the median of the ratios to the same
loader without workers.
"""

import itertools
import multiprocessing
import os
import sys
import time
from statistics import median

import grain
import numpy as np
import torch
from absl import flags
from torch.utils.data import DataLoader, Dataset

# Grain reads flags of its own; none are given here.
flags.FLAGS(sys.argv[:1])

WORK_SECONDS = 20e-6


class Work:
    """An operation of NumPy that takes 20 microseconds when nothing else runs."""

    def __init__(self):
        self.numbers = np.ones(50_000, np.float32)
        fastest = min(self.seconds() for _ in range(200))
        self.numbers = np.ones(round(50_000 * WORK_SECONDS / fastest), np.float32)

    def __call__(self):
        # Without Python's lock, and into memory of its own, so that it can run on several threads.
        np.sqrt(self.numbers)

    def seconds(self):
        start = time.perf_counter()
        self()
        return time.perf_counter() - start


class Rows(Dataset):
    """Rows on which the transform works."""

    def __init__(self, rows):
        self.rows, self.work = rows, Work()

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        self.work()
        return self.rows[row].astype(np.float32) / np.float32(255)


def torch_loader(rows, workers):
    torch.set_num_threads(1)
    loader = DataLoader(rows, 64, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    return lambda: loader


def grain_loader(rows, threads=0, processes=0):
    """Without an end, since worker processes take seconds to start in each epoch."""
    options = grain.ReadOptions(
        num_threads=threads, prefetch_buffer_size=16 * threads if threads else 0
    )
    dataset = grain.MapDataset.range(len(rows)).shuffle(seed=1).repeat()
    dataset = dataset.map(rows.__getitem__).batch(64).to_iter_dataset(options)
    if processes:
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=processes))
    batches = iter(dataset)
    return lambda: itertools.islice(batches, len(rows) // 64)


def main():
    quick = "--quick" in sys.argv
    rounds, count = (1, 1920) if quick else (7, 6400)
    rows = Rows(np.random.default_rng(0).integers(0, 256, (count, 784), np.uint8))
    contenders = {f"torch-{n}": torch_loader(rows, n) for n in (0, 1, 2)}
    contenders |= {f"grain-threads-{n}": grain_loader(rows, threads=n) for n in (0, 1, 2)}
    contenders |= {f"grain-processes-{n}": grain_loader(rows, processes=n) for n in (1, 2)}
    seconds = {name: [] for name in contenders}
    # The first round only warms up.
    for number in range(rounds + 1):
        for name, epoch in contenders.items():
            start = time.perf_counter()
            taken = sum(len(batch) for batch in epoch())
            assert taken == count, f"{name}: {taken} rows"
            if number:
                seconds[name].append(time.perf_counter() - start)
    print(f"medians of {rounds} rounds; x none: times the same without workers")
    print(f"{'id':32} {'rows/s':>12} {'slowest':>12} {'fastest':>12} {'x none':>9}")
    for name, own in seconds.items():
        none = seconds["torch-0" if name.startswith("torch") else "grain-threads-0"]
        ratio = median(a / b for a, b in zip(none, own))
        rates = [count / each for each in (median(own), max(own), min(own))]
        print(f"work/20us/{name:22}", *(f"{rate:12.0f}" for rate in rates), f"{ratio:9.2f}")
    sys.stdout.flush()
    for worker in multiprocessing.active_children():
        worker.terminate()
    # Threads of a library that are still at work when the interpreter ends can abort the process.
    os._exit(0)


if __name__ == "__main__":
    main()
