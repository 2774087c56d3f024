#!/usr/bin/env python3
"""Writes a sparse matrix into FOLDER as SciPy does, and dense as NumPy does.

tests/integration/numpy.rs compares the two.
"""

import sys
from pathlib import Path

import numpy as np
import scipy.sparse

folder = Path(sys.argv[1])
sparse = scipy.sparse.random_array((50, 30), density=0.1, rng=4, dtype=np.float32)
np.save(folder / "dense.npy", sparse.toarray())
for compressed in [False, True]:
    path = folder / f"sparse_{compressed}.npz"
    scipy.sparse.save_npz(path, sparse.tocsr(), compressed=compressed)
scipy.sparse.save_npz(folder / "coo.npz", sparse.tocoo())
