"""The order of burn-npy in another language, from its description alone.

Prints `len seed epoch: row row ...` for the first rows of some permutations; the golden vectors in
`golden.txt` are this output.
"""

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


def mixed_half(half, key):
    x = (half ^ key) * 0xD6E8FEB86659FD93 & M
    return ((x ^ x >> 32) * 0xA0761D6478BD642F & M) >> 32


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
    low_mask, high_mask = (1 << low_bits) - 1, (1 << bits - low_bits) - 1
    rounds = [next(stream) for _ in range(8)]
    found = []
    for value in range(min(count, length)):
        while True:
            high, low = value >> low_bits, value & low_mask
            for i in range(0, 8, 2):
                low ^= mixed_half(high, rounds[i]) & low_mask
                high ^= mixed_half(low, rounds[i + 1]) & high_mask
            value = high << low_bits | low
            if value < length:
                break
        found.append(value)
    return found


for length in [1, 2, 10, 4096, 4097, 60_000, 1_000_000, 10**9, 1 << 40, 1 << 63]:
    for seed, epoch in [(0, 0), (0, 1), (1, 0), (42, 7), (M, M)]:
        print(f"{length} {seed} {epoch}:", *rows(length, seed, epoch, 8))
