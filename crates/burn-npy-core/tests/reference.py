"""The golden vectors of the order, as `python/burn_npy.py` computes them.

Prints the golden vectors of `golden.txt`:
`len seed epoch: row row ...`, the first rows of a shuffle;
`blocks len seed epoch block mixed: row row ...`, the first rows of a shuffle in blocks;
`blocks-first ...`, the same if only the first epoch is in blocks;
`bucketed len seed epoch batch: row row ...`, the first rows of a shuffle of rows whose lengths are
`lengths(len)`, with rows of similar lengths in a batch;
`tokens len seed epoch max: row row ..., row ...`, the first batches of such rows of which each has
at most `max` tokens when it is padded;
`shard len batch drop_last remainder index count: 0 1 2, 6 7 + 0`, the positions of each batch + its
padding;
`epochs len seed epoch n: row row ...`, the first rows of an epoch of n positions;
`drawn len seed epoch: row row ...`, the first rows of draws with replacement.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "../../../python"))
try:
    import burn_npy as bn
except ModuleNotFoundError as error:
    sys.exit(f"{error}: this needs NumPy, and python/burn_npy.py of the repository")

M = (1 << 64) - 1


def lengths(count):
    return [row * 7919 % 541 for row in range(count)]


def shown(numbers):
    return " ".join(map(str, numbers))


def shard(length, batch, drop_last, tail, index, count):
    found = []
    for own, padding in bn.batches(length, batch, (index, count), bool(drop_last), tail):
        found.append(shown([*own, *["+"] * (len(padding) > 0), *padding]))
    return ", ".join(found)


for length in [1, 2, 10, 4096, 4097, 60_000, 1_000_000, 10**9, 1 << 40, 1 << 63]:
    for seed, epoch in [(0, 0), (0, 1), (1, 0), (42, 7), (M, M)]:
        found = bn.permutation_at(range(min(8, length)), length, seed, epoch)
        print(f"{length} {seed} {epoch}:", *found)
sizes = [(10, 3, 2), (1000, 100, 1), (5000, 64, 8), (60_000, 1000, 8), (60_000, 7, 9999)]
for length, block, mixed in sizes:
    for seed, epoch in [(0, 0), (42, 7), (M, M)]:
        found = bn.blocks(length, block, mixed, seed, epoch)
        print(f"blocks {length} {seed} {epoch} {block} {mixed}:", *found[:20])
for length, block, mixed in sizes[:3]:
    for epoch in [0, 1, 7]:
        found = bn.blocks_first(length, block, mixed, 42, epoch)
        print(f"blocks-first {length} 42 {epoch} {block} {mixed}:", *found[:20])
for length, batch in [(1, 1), (10, 3), (10, 40), (1000, 7), (60_000, 32)]:
    for seed, epoch in [(0, 0), (42, 7), (M, M)]:
        found = bn.bucketed(lengths(length), batch, seed, epoch)
        print(f"bucketed {length} {seed} {epoch} {batch}:", *found[:20])
for length, most in [(1, 1), (10, 540), (10, 9999), (1000, 700), (60_000, 2048)]:
    for seed, epoch in [(0, 0), (42, 7), (M, M)]:
        found = bn.max_tokens(lengths(length), most, seed, epoch)[:4]
        print(f"tokens {length} {seed} {epoch} {most}:", ", ".join(map(shown, found)))
for length, batch, count in [(15, 3, 2), (17, 3, 2), (7, 2, 4), (1, 2, 3), (12, 3, 2)]:
    for drop_last in [0, 1]:
        for tail in ["drop", "pad", "uneven", "spread"]:
            for index in range(count):
                key = f"shard {length} {batch} {drop_last} {tail} {index} {count}:"
                print(f"{key} {shard(length, batch, drop_last, tail, index, count)}".rstrip())
for length, n in [(1, 3), (10, 4), (10, 25), (5000, 4999), (5000, 7)]:
    for seed, epoch in [(0, 0), (0, 1), (42, 7), (M, M)]:
        found = bn.epoch_len(lambda one: bn.shuffled(length, seed, one), n, epoch)
        print(f"epochs {length} {seed} {epoch} {n}:", *found[:16])
for length in [1, 10, 60_000, 1 << 63]:
    for seed, epoch in [(0, 0), (42, 7), (M, M)]:
        print(f"drawn {length} {seed} {epoch}:", *bn.with_replacement(length, seed, epoch, 8))
