"""Rows of any length in PyTorch: what `cargo bench --bench ragged` does, with `pad_sequence`.

Run that bench first, since it makes the data:

    target/peers/venv/bin/python benches/peers/ragged.py
"""

import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

BATCH = 64
ROUNDS = 1 if "--quick" in sys.argv else 7
FOLDER = Path(__file__).parents[2] / "target/ragged"
# The mapped file cannot be written to, which nobody does here.
warnings.filterwarnings("ignore", "The given NumPy array is not writable")

tokens = torch.from_numpy(np.load(FOLDER / "tokens.npy", mmap_mode="r"))
offsets = np.load(FOLDER / "offsets.npy").tolist()
rows = len(offsets) - 1


class Texts:
    def __len__(self):
        return rows

    def __getitem__(self, row):
        return tokens[offsets[row] : offsets[row + 1]]


def pad(texts):
    return pad_sequence(texts, batch_first=True).long()


def loop():
    """No loader: slices of a permutation."""
    for batch in torch.randperm(rows).split(BATCH):
        yield pad([tokens[offsets[row] : offsets[row + 1]] for row in batch.tolist()])


def loader(workers):
    return lambda: DataLoader(Texts(), BATCH, True, collate_fn=pad, num_workers=workers)


contenders = {"loop": loop, "DataLoader": loader(0), "DataLoader, 2 workers": loader(2)}
for name, epoch in contenders.items():
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for batch in epoch():
            pass
        seconds.append(time.perf_counter() - start)
    print(f"{name}: {rows / statistics.median(seconds):.0f} rows/s")
