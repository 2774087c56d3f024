"""NumPy by hand: shuffled batches of rows, converted to float32.

    peer.py FILE BATCH

Prints the sum of the first 256 rows, then runs an epoch for each line that it reads and prints how
many seconds it took.
"""

import sys
import time

import numpy as np

array = np.load(sys.argv[1], mmap_mode="r")
batch = int(sys.argv[2])
order = np.random.default_rng(1).permutation(len(array))
first = np.arange(min(256, len(array)))
print(repr(float(array[first].astype(np.float32).sum(dtype=np.float64))), flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    for at in range(0, len(order), batch):
        array[order[at : at + batch]].astype(np.float32, copy=False)
    print(time.perf_counter() - start, flush=True)
