/* What a random row of a file in the page cache costs, by ways that fail differently when the file
   shrinks: a copy from a map (a signal), a positioned read and process_vm_readv on the own process
   (an error each). The copy is measured with and without two looks at the file for each batch.

       cc -O2 -o target/reads crates/burn-npy-core/benches/reads.c && target/reads target/reads.bin

   Prints nanoseconds a row, the best of five rounds in turn. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 256 << 20, PIECE = 1 << 20, BATCH = 256, WAYS = 4 };
static const char *const NAMES[WAYS] = {"map", "map, looked at", "pread", "process_vm_readv"};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void expect(int holds, const char *what) {
    if (!holds) {
        perror(what);
        exit(1);
    }
}

static void gather(int way, int file, char *map, char *out, const size_t *rows, size_t row) {
    static struct iovec from[BATCH];
    struct iovec to = {out, BATCH * row};
    struct stat state;
    if (way == 1) expect(fstat(file, &state) == 0, "fstat");
    for (size_t i = 0; i < BATCH; i++) {
        size_t at = rows[i] * row;
        if (way < 2) memcpy(out + i * row, map + at, row);
        if (way == 2) expect(pread(file, out + i * row, row, at) == (ssize_t)row, "pread");
        if (way == 3) from[i] = (struct iovec){map + at, row};
    }
    if (way == 1) expect(fstat(file, &state) == 0, "fstat");
    if (way == 3) {
        ssize_t copied = process_vm_readv(getpid(), &to, 1, from, BATCH, 0);
        expect(copied == (ssize_t)to.iov_len, "process_vm_readv");
    }
}

int main(int count, char **args) {
    expect(count == 2, "the path of a file to write");
    int file = open(args[1], O_RDWR | O_CREAT, 0600);
    expect(file >= 0, "open");
    static char piece[PIECE];
    memset(piece, 7, PIECE);
    for (size_t at = 0; at < SIZE; at += PIECE)
        expect(pwrite(file, piece, PIECE, at) == PIECE, "pwrite");
    char *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
    expect(map != MAP_FAILED, "mmap");
    const size_t sizes[] = {40, 784, 12288, 614400};
    for (size_t size = 0; size < sizeof sizes / sizeof *sizes; size++) {
        size_t row = sizes[size], len = SIZE / row, rows[BATCH];
        char *out = calloc(BATCH, row);
        int batches = (int)((512UL << 20) / (BATCH * row)) + 1;
        if (batches > 4000) batches = 4000;
        double best[WAYS] = {1e9, 1e9, 1e9, 1e9};
        for (int round = 0; round < 5; round++) {
            for (int way = 0; way < WAYS; way++) {
                srand(1);
                double start = now();
                for (int batch = 0; batch < batches; batch++) {
                    for (size_t i = 0; i < BATCH; i++) rows[i] = (size_t)rand() % len;
                    gather(way, file, map, out, rows, row);
                }
                double took = (now() - start) / batches / BATCH * 1e9;
                if (took < best[way]) best[way] = took;
            }
        }
        printf("%zu bytes:", row);
        for (int way = 0; way < WAYS; way++)
            printf("  %s %.0f (%.2f)", NAMES[way], best[way], best[way] / best[0]);
        printf("\n");
        free(out);
    }
    unlink(args[1]);
}
