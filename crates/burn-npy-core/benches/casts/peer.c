// A loop that copies shuffled batches of rows, converted to float, into one buffer, and does nothing
// else. It asks the processor for the row that comes 16 later.
//
//     cc -O3 -mavx2 -mfma -mf16c peer.c -o peer
//     peer FILE BATCH CODE ROWS LEN OFFSET
//
// CODE is NumPy's, such as <f2. Prints the sum of the first 256 rows, then runs an epoch for each
// line that it reads and prints how many seconds it took.
#include <fcntl.h>
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { AHEAD = 16, LINE = 64, PREFETCH_BYTES = 256 };

typedef void Convert(const uint8_t *restrict row, float *restrict out, size_t len);

#define NATIVE(NAME, TYPE)                                                                       \
    static void NAME(const uint8_t *restrict row, float *restrict out, size_t len) {             \
        for (size_t i = 0; i < len; i++) {                                                       \
            TYPE x;                                                                              \
            memcpy(&x, row + i * sizeof x, sizeof x);                                            \
            out[i] = (float)x;                                                                   \
        }                                                                                        \
    }
#define SWAPPED(NAME, TYPE, BITS, SWAP)                                                          \
    static void NAME(const uint8_t *restrict row, float *restrict out, size_t len) {             \
        for (size_t i = 0; i < len; i++) {                                                       \
            BITS bits;                                                                           \
            TYPE x;                                                                              \
            memcpy(&bits, row + i * sizeof bits, sizeof bits);                                   \
            bits = SWAP(bits);                                                                   \
            memcpy(&x, &bits, sizeof x);                                                         \
            out[i] = (float)x;                                                                   \
        }                                                                                        \
    }
#define BOTH(NAME, TYPE, BITS, SWAP) NATIVE(NAME, TYPE) SWAPPED(NAME##_swapped, TYPE, BITS, SWAP)

NATIVE(u1, uint8_t)
NATIVE(i1, int8_t)
BOTH(u2, uint16_t, uint16_t, __builtin_bswap16)
BOTH(i2, int16_t, uint16_t, __builtin_bswap16)
BOTH(u4, uint32_t, uint32_t, __builtin_bswap32)
BOTH(i4, int32_t, uint32_t, __builtin_bswap32)
BOTH(u8, uint64_t, uint64_t, __builtin_bswap64)
BOTH(i8, int64_t, uint64_t, __builtin_bswap64)
BOTH(f4, float, uint32_t, __builtin_bswap32)
BOTH(f8, double, uint64_t, __builtin_bswap64)

static void b1(const uint8_t *restrict row, float *restrict out, size_t len) {
    for (size_t i = 0; i < len; i++) out[i] = row[i] != 0;
}

static void halves(const uint8_t *restrict row, float *restrict out, size_t len, int swapped) {
    size_t i = 0;
    const __m128i swap = _mm_set_epi8(14, 15, 12, 13, 10, 11, 8, 9, 6, 7, 4, 5, 2, 3, 0, 1);
    for (; i + 8 <= len; i += 8) {
        __m128i x = _mm_loadu_si128((const __m128i *)(row + 2 * i));
        if (swapped) x = _mm_shuffle_epi8(x, swap);
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(x));
    }
    for (; i < len; i++) {
        uint16_t bits;
        memcpy(&bits, row + 2 * i, 2);
        out[i] = _cvtsh_ss(swapped ? __builtin_bswap16(bits) : bits);
    }
}
static void f2(const uint8_t *restrict row, float *restrict out, size_t len) {
    halves(row, out, len, 0);
}
static void f2_swapped(const uint8_t *restrict row, float *restrict out, size_t len) {
    halves(row, out, len, 1);
}

static const struct {
    const char *code;
    Convert *native, *swapped;
} converts[] = {
    {"b1", b1, b1},         {"u1", u1, u1},         {"i1", i1, i1},         {"u2", u2, u2_swapped},
    {"i2", i2, i2_swapped}, {"u4", u4, u4_swapped}, {"i4", i4, i4_swapped}, {"u8", u8, u8_swapped},
    {"i8", i8, i8_swapped}, {"f2", f2, f2_swapped}, {"f4", f4, f4_swapped}, {"f8", f8, f8_swapped},
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    size_t batch = strtoull(argv[2], 0, 10), rows = strtoull(argv[4], 0, 10);
    size_t len = strtoull(argv[5], 0, 10), offset = strtoull(argv[6], 0, 10);
    Convert *convert = 0;
    for (size_t i = 0; i < sizeof converts / sizeof *converts; i++)
        if (!strcmp(argv[3] + 1, converts[i].code))
            convert = *argv[3] == '>' ? converts[i].swapped : converts[i].native;
    size_t row_bytes = len * (argv[3][2] - '0');
    int file = open(argv[1], O_RDONLY);
    struct stat stat;
    if (!convert || file < 0 || fstat(file, &stat)) return 2;
    const uint8_t *data = mmap(0, stat.st_size, PROT_READ, MAP_SHARED, file, 0);
    if (data == MAP_FAILED) return 2;
    data += offset;
    float *out = aligned_alloc(64, (batch * len * sizeof *out + 63) / 64 * 64);
    uint32_t *order = malloc((rows + AHEAD) * sizeof *order);
    for (size_t i = 0; i < rows; i++) order[i] = i;
    double sum = 0;
    for (size_t i = 0; i < rows && i < 256; i++) {
        convert(data + i * row_bytes, out, len);
        for (size_t j = 0; j < len; j++) sum += out[j];
    }
    uint64_t state = 1;
    for (size_t i = rows; i > 1; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t j = (state >> 33) % i;
        uint32_t swap = order[i - 1];
        order[i - 1] = order[j], order[j] = swap;
    }
    for (size_t i = 0; i < AHEAD; i++) order[rows + i] = order[i % rows];
    printf("%.17g\n", sum);
    fflush(stdout);
    for (int c; (c = getchar()) != EOF;) {
        if (c != '\n') continue;
        double start = now();
        for (size_t i = 0; i < rows; i++) {
            const uint8_t *later = data + order[i + AHEAD] * row_bytes;
            for (size_t at = 0; at < PREFETCH_BYTES && at < row_bytes; at += LINE)
                __builtin_prefetch(later + at);
            convert(data + order[i] * row_bytes, out + i % batch * len, len);
            __asm__ volatile("" ::: "memory");
        }
        printf("%.9f\n", now() - start);
        fflush(stdout);
    }
}
