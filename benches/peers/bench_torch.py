"""PyTorch: loops by hand, its DataLoader, and the threads of torchdata.

Worker processes are left out: on two cores they are slower than none, with several times the
memory.
"""

import os
import sys
import warnings

if "index_select_huge_pages" in sys.argv:
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1"
# A mapped file cannot be written to, which nobody does here.
warnings.filterwarnings("ignore", "The given NumPy array is not writable")

import torch
from torch.utils.data import DataLoader, TensorDataset, default_collate

from harness import main


def tensors(job):
    """The mapped file as a tensor. An idiom's threads are those inside torch's operations."""
    torch.set_num_threads(job.threads)
    return [torch.from_numpy(array) for array in job.map()]


def convert(job, features):
    """float32 features, in place where they are that already."""
    features = features.to(torch.float32)
    return features.mul_(job.scale.item()) if job.scale else features


class Batches:
    """A sampler of batches, each a slice of one `randperm`, and the dataset that gathers them."""

    def __init__(self, job):
        self.job, (self.features, self.labels) = job, tensors(job)

    def __iter__(self):
        return iter(torch.randperm(self.job.rows).split(self.job.batch))

    def __len__(self):
        return self.job.batches

    def __getitem__(self, rows):
        features = self.features.index_select(0, rows)
        return convert(self.job, features), self.labels.index_select(0, rows)


def index_select(job):
    """No loader at all: a loop over the slices of a `randperm`."""
    batches = Batches(job)
    return lambda: (batches[rows] for rows in batches)


def sampler(job):
    """DataLoader with a vectorised sampler of batches."""
    batches = Batches(job)
    loader = DataLoader(batches, batch_size=None, sampler=batches)
    return lambda: loader


def tensor_dataset(job):
    """DataLoader over TensorDataset with `shuffle=True`, as the tutorials have it."""
    torch.set_num_threads(job.threads)
    dataset = TensorDataset(*map(torch.from_numpy, job.read()))

    def collate(items):
        features, labels = default_collate(items)
        return convert(job, features), labels

    loader = DataLoader(dataset, job.batch, shuffle=True, collate_fn=collate)
    return lambda: loader


def nodes(job):
    """torchdata.nodes: threads that gather batches ahead, in order."""
    from torchdata.nodes import Loader, ParallelMapper, Prefetcher, SamplerWrapper

    batches = Batches(job)
    torch.set_num_threads(1)
    source = SamplerWrapper(batches)
    gathered = ParallelMapper(
        source, batches.__getitem__, job.threads, in_order=True, method="thread"
    )
    loader = Loader(Prefetcher(gathered, prefetch_factor=4))
    return lambda: loader


if __name__ == "__main__":
    idioms = [index_select, sampler, tensor_dataset, nodes]
    idioms = {idiom.__name__: idiom for idiom in idioms}
    main("torch", idioms | {"index_select_huge_pages": index_select})
