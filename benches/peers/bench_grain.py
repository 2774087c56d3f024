"""Grain: rows as elements, as its tutorial has it, and elements that are whole batches."""

import itertools
import sys

import grain
import numpy as np
from absl import flags

from harness import main

# Grain reads flags of its own; none are given here.
flags.FLAGS(sys.argv[:1])


class Gather(grain.transforms.Map):
    """A row number to a row, or several to a batch, out of the mapped file."""

    def __init__(self, job):
        self.job, (self.features, self.labels) = job, job.map()

    def map(self, rows):
        features = np.take(self.features, rows, axis=0, mode="clip")
        if self.job.scale:
            features = np.multiply(features, self.job.scale, dtype=np.float32)
        return features.astype(np.float32, copy=False), self.labels[rows]


def options(job):
    """The threads that read ahead."""
    return grain.ReadOptions(num_threads=job.threads, prefetch_buffer_size=job.threads + 2)


def elements(job):
    """A row is an element; `shuffle`, `map` and `batch`."""
    gather, seeds = Gather(job), itertools.count()

    def epoch():
        rows = grain.MapDataset.range(job.rows).shuffle(seed=next(seeds)).map(gather)
        return rows.batch(job.batch).to_iter_dataset(options(job))

    return epoch


def batch_elements(job):
    """A permutation an epoch, and threads that gather slices of it ahead, in order."""
    gather, random = Gather(job), np.random.default_rng(0)

    def epoch():
        order = random.permutation(job.rows)
        starts = grain.MapDataset.range(0, job.rows, job.batch)
        slices = starts.map(lambda at: order[at : at + job.batch])
        return slices.map(gather).to_iter_dataset(options(job))

    return epoch


if __name__ == "__main__":
    main("grain", {"elements": elements, "batch_elements": batch_elements})
