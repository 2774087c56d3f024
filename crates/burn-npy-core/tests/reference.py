"""The order of burn-npy in another language, from its description alone.

Prints the golden vectors of `golden.txt`:
`len seed epoch: row row ...`, the first rows of a shuffle;
`blocks len seed epoch block mixed: row row ...`, the first rows of a shuffle in blocks;
`bucketed len seed epoch batch: row row ...`, the first rows of a shuffle of rows whose lengths are
`lengths(len)`, with rows of similar lengths in a batch;
`tokens len seed epoch max: row row ..., row ...`, the first batches of such rows of which each has
at most `max` tokens when it is padded;
`shard len batch drop_last remainder index count: 0 1 2, 6 7 + 0`, the positions of each batch + its
padding;
`epochs len seed epoch n: row row ...`, the first rows of an epoch of n positions;
`drawn len seed epoch: row row ...`, the first rows of draws with replacement.
"""

from itertools import count as counted, cycle, islice

M = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & M
    x = (x ^ x >> 27) * 0x94D049BB133111EB & M
    return x ^ x >> 31


def keys(seed, epoch):
    first = mix(mix(seed + GOLDEN & M) + epoch & M)
    second = mix(mix(epoch ^ GOLDEN) + seed & M)
    while True:
        first = first + GOLDEN & M
        second = second + 0xD1B54A32D192ED03 & M
        yield mix(first) ^ mix(second)


def mixed_half(half, key, bits):
    x = ((half ^ key) * 0x7FEB352D) & 0xFFFFFFFF
    return ((x ^ x >> 15) * 0x846CA68B & 0xFFFFFFFF) >> 32 - bits


def rows(length, seed, epoch, count):
    stream = keys(seed, epoch)
    if length <= 4096:
        table = list(range(length))
        for last in range(length - 1, 0, -1):
            other = next(stream) * (last + 1) >> 64
            table[last], table[other] = table[other], table[last]
        return table[:count]
    bits = (length - 1).bit_length()
    low_bits = (bits + 1) // 2
    rounds = [next(stream) & 0xFFFFFFFF for _ in range(8)]
    found = []
    for value in range(min(count, length)):
        while True:
            high, low = value >> low_bits, value & (1 << low_bits) - 1
            for i in range(0, 8, 2):
                low ^= mixed_half(high, rounds[i], low_bits)
                high ^= mixed_half(low, rounds[i + 1], bits - low_bits)
            value = high << low_bits | low
            if value < length:
                break
        found.append(value)
    return found


def chunks(items, size):
    return [items[at : at + size] for at in range(0, len(items), size)]


def part_of(seed, tag, number):
    return mix(mix(seed ^ mix(tag)) + number * GOLDEN & M)


def blocks(length, block, mixed, seed, epoch, count):
    part = lambda tag, number: part_of(seed, tag, number)
    file = chunks(range(length), block)
    order = rows(len(file), part(1, 0), epoch, len(file))
    found = []
    for number, pool in enumerate(chunks(order, mixed)):
        pool = [row for block in pool for row in file[block]]
        found += [pool[i] for i in rows(len(pool), part(2, number), epoch, len(pool))]
        if len(found) >= count:
            break
    return found[:count]


def lengths(count):
    return [row * 7919 % 541 for row in range(count)]


def bucketed(length, batch, seed, epoch, count):
    part = lambda number: mix(mix(seed ^ mix(9)) + number * GOLDEN & M)
    order, known = rows(length, part(0), epoch, length), lengths(length)
    full = length - length % batch
    pools = [sorted(pool, key=known.__getitem__) for pool in chunks(order[:full], 100 * batch)]
    batches = chunks([row for pool in pools for row in pool], batch)
    shuffled = [batches[i] for i in rows(len(batches), part(1), epoch, len(batches))]
    return ([row for batch in shuffled for row in batch] + order[full:])[:count]


def tokens(length, most, seed, epoch, count):
    known = [max(1, one) for one in lengths(length)]
    order = rows(length, part_of(seed, 11, 0), epoch, length)
    batches = []
    for pool in chunks(order, 100 * most * length // sum(known)):
        batch = []
        for row in sorted(pool, key=known.__getitem__):
            if (len(batch) + 1) * known[row] > most:
                batches.append(batch)
                batch = []
            batch.append(row)
        batches.append(batch)
    found = rows(len(batches), part_of(seed, 11, 1), epoch, count)
    return ", ".join(" ".join(map(str, batches[i])) for i in found)


def shard(length, batch, drop_last, tail, index, count):
    found, wrap = [], cycle(range(length))
    for step in chunks(range(length), batch * count):
        n, low = len(step), len(step) // count
        sizes = {"drop": (low, 0), "pad": (-(-n // count), batch), "uneven": (low, batch)}
        size = batch if low == batch else sizes[tail][drop_last]
        larger = n % count if tail == "uneven" and not drop_last else 0
        for i in range(count):
            want = size + (i < larger)
            own, step = list(step[:want]), step[want:]
            if tail == "uneven" and len(own) < want:
                own = []
            padding = list(islice(wrap, want - len(own))) if tail == "pad" else []
            if i == index and (own or padding):
                found.append(" ".join(map(str, own + ["+"] * bool(padding) + padding)))
    return ", ".join(found)


def epochs(length, seed, epoch, n, count):
    first, skip = divmod(epoch * n, length)
    passes = (rows(length, seed, one & M, length) for one in counted(first))
    return list(islice((row for one in passes for row in one), skip, skip + min(n, count)))


def drawn(length, seed, epoch, count):
    return [key * length >> 64 for key in islice(keys(part_of(seed, 10, 0), epoch), count)]


for length in [1, 2, 10, 4096, 4097, 60_000, 1_000_000, 10**9, 1 << 40, 1 << 63]:
    for seed, epoch in [(0, 0), (0, 1), (1, 0), (42, 7), (M, M)]:
        print(f"{length} {seed} {epoch}:", *rows(length, seed, epoch, 8))
sizes = [(10, 3, 2), (1000, 100, 1), (5000, 64, 8), (60_000, 1000, 8), (60_000, 7, 9999)]
for length, block, mixed in sizes:
    for seed, epoch in [(0, 0), (42, 7), (M, M)]:
        found = blocks(length, block, mixed, seed, epoch, 20)
        print(f"blocks {length} {seed} {epoch} {block} {mixed}:", *found)
for length, batch in [(1, 1), (10, 3), (10, 40), (1000, 7), (60_000, 32)]:
    for seed, epoch in [(0, 0), (42, 7), (M, M)]:
        found = bucketed(length, batch, seed, epoch, 20)
        print(f"bucketed {length} {seed} {epoch} {batch}:", *found)
for length, most in [(1, 1), (10, 540), (10, 9999), (1000, 700), (60_000, 2048)]:
    for seed, epoch in [(0, 0), (42, 7), (M, M)]:
        print(f"tokens {length} {seed} {epoch} {most}:", tokens(length, most, seed, epoch, 4))
for length, batch, count in [(15, 3, 2), (17, 3, 2), (7, 2, 4), (1, 2, 3), (12, 3, 2)]:
    for drop_last in [0, 1]:
        for tail in ["drop", "pad", "uneven"]:
            for index in range(count):
                key = f"shard {length} {batch} {drop_last} {tail} {index} {count}:"
                print(f"{key} {shard(length, batch, drop_last, tail, index, count)}".rstrip())
for length, n in [(1, 3), (10, 4), (10, 25), (5000, 4999), (5000, 7)]:
    for seed, epoch in [(0, 0), (0, 1), (42, 7), (M, M)]:
        print(f"epochs {length} {seed} {epoch} {n}:", *epochs(length, seed, epoch, n, 16))
for length in [1, 10, 60_000, 1 << 63]:
    for seed, epoch in [(0, 0), (42, 7), (M, M)]:
        print(f"drawn {length} {seed} {epoch}:", *drawn(length, seed, epoch, 8))
