"""What the Python programs share: the arguments, the check, the clock, the record.

A program calls `main(who, idioms)`. An idiom is a function that gets a `Job`, opens the files and
returns a function that starts an epoch: an iterator of (features, labels), shuffled over all rows,
in an order that is drawn when the epoch starts. The timed consumer takes the batches and drops
them.
"""

import argparse
import json
import os
import sys
import time

import numpy as np

from data import WORKLOADS, paths

SCALE = np.float32(1 / 255)
# The longest warm-up, in seconds; what is timed are whole epochs.
WARM_UP = 1.0


class Job:
    """A workload, a batch size, and how many threads may be used."""

    def __init__(self, args):
        workload = WORKLOADS[args.workload]
        self.rows, self.row, self.dtype = workload.rows, workload.row, np.dtype(workload.dtype)
        self.batch, self.threads = args.batch, args.threads
        self.batches = -(-self.rows // self.batch)
        self.scale = SCALE if self.dtype == np.uint8 else None
        self.files = paths(args.data, args.workload)

    def read(self):
        """The features and labels in memory."""
        return [np.load(file) for file in self.files]

    def map(self):
        """The features as a mapped file, and the labels in memory."""
        features, labels = self.files
        return np.load(features, mmap_mode="r").view(np.ndarray), np.load(labels)


def check(job, epoch):
    """Asserts that an epoch has every row once, with the values that it should have.

    Half of the contenders divide by 255 and half multiply by its inverse, so u8 may differ in the
    last bit.
    """
    source, _ = job.map()
    seen = np.zeros(job.rows, np.int64)
    last_bit = 2.0**-24 if job.scale else 0.0
    for features, labels in epoch():
        features, labels = np.asarray(features), np.asarray(labels)
        dtypes = (features.dtype, labels.dtype)
        assert dtypes == (np.float32, np.int64), dtypes
        assert features.shape == (len(labels), *job.row), features.shape
        seen += np.bincount(labels, minlength=job.rows)
        expected = source[labels].astype(np.float32)
        if job.scale:
            expected /= np.float32(255)
        assert np.abs(features - expected).max() <= last_bit, "other values"
    assert (seen == 1).all(), "an epoch does not have every row once"


class Step:
    """A model step: a fixed amount of work on one thread, about `ms` when nothing else runs."""

    def __init__(self, ms):
        random = np.random.default_rng(0)
        self.a, self.b = random.random((2, 128, 128), dtype=np.float32)
        self.out = np.empty_like(self.a)
        self.count = 1000
        self()
        self.count = max(1, round(ms / self.alone_ms(1) * self.count))

    def __call__(self):
        for _ in range(self.count):
            np.matmul(self.a, self.b, out=self.out)

    def alone_ms(self, steps):
        """How long a step takes with no loader beside it, the mean of so many."""
        start = time.perf_counter()
        for _ in range(steps):
            self()
        return (time.perf_counter() - start) * 1e3 / steps


def consume(batches, step):
    """Takes the rest of an epoch. Returns the number of rows and the seconds of the steps."""
    rows, steps = 0, 0.0
    for _, labels in batches:
        rows += len(labels)
        if step:
            start = time.perf_counter()
            step()
            steps += time.perf_counter() - start
    return rows, steps


def peak_mb():
    """The most memory that this process had, mapped files included."""
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1000


def measure(job, idiom, args):
    """Opens the files, takes a first batch, warms up, and times whole epochs."""
    step = Step(args.step_ms) if args.mode == "step" else None
    start = time.perf_counter()
    epoch = idiom(job)
    batches = iter(epoch())
    rows = len(next(batches)[1])
    first_batch_ms = (time.perf_counter() - start) * 1e3
    if args.mode == "cold":
        rows += consume(batches, step)[0]
        seconds, epochs = time.perf_counter() - start, 1
    else:
        start = time.perf_counter()
        for _ in batches:
            # A slower consumer has more batches at once, in memory that is new the first time.
            if step:
                step()
            if time.perf_counter() - start > WARM_UP:
                break
        del batches
        # The time of the steps alone is measured before and after each epoch, since the speed of
        # the machine changes from one second to the next.
        alone_ms = [step.alone_ms(1 + job.batches // 4)] if step else []
        rows, epochs, seconds, steps = 0, 0, 0.0, 0.0
        while epochs == 0 or seconds < args.seconds:
            start = time.perf_counter()
            more_rows, more_steps = consume(epoch(), step)
            rows, steps, epochs = rows + more_rows, steps + more_steps, epochs + 1
            seconds += time.perf_counter() - start
            if step:
                alone_ms.append(step.alone_ms(1 + job.batches // 4))
    assert rows == epochs * job.rows
    record = {"samples_s": rows / seconds, "first_batch_ms": first_batch_ms, "rss_mb": peak_mb()}
    if step:
        around_ms = [(before + after) / 2 for before, after in zip(alone_ms, alone_ms[1:])]
        compute_ms = job.batches * sum(around_ms)
        record["over_compute"] = seconds * 1e3 / compute_ms
        record["over_its_steps"] = seconds / steps
    return record


def main(who, idioms):
    """Checks or measures the idiom that the arguments name."""
    args = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    args.add_argument("--data", required=True, help="the folder with the files")
    args.add_argument("--workload", choices=WORKLOADS, required=True)
    args.add_argument("--batch", type=int, required=True)
    args.add_argument("--idiom", choices=idioms, required=True)
    args.add_argument("--threads", type=int, default=2)
    args.add_argument("--mode", choices=["check", "epoch", "step", "cold"], default="epoch")
    args.add_argument("--seconds", type=float, default=0.4, help="time epochs for at least so long")
    args.add_argument("--step-ms", type=float, default=1.0)
    args = args.parse_args()
    job, idiom = Job(args), idioms[args.idiom]
    if args.mode == "check":
        check(job, idiom(job))
    else:
        names = {
            "workload": args.workload,
            "batch": args.batch,
            "who": who,
            "idiom": f"{args.idiom}-{args.threads}",
        }
        print(json.dumps(names | measure(job, idiom, args)), flush=True)
    # Threads of a library that are still at work when the interpreter ends can abort the process.
    os._exit(0)
