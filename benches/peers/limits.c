// What the memory allows: an epoch of copies, with nothing around them.
//
//     cc -O3 -march=native -pthread limits.c -o limits
//     limits --data FOLDER --workload mnist --batch 256 --idiom copy|prefetch|rotate|stream
//            --threads 1 [--mode check|epoch|cold] [--seconds 0.4]
//
// The files are mapped. Each thread makes every so many'th batch, in a buffer of its own that it reuses: the rows
// of the features, converted to float, and their labels. Nobody waits for anybody within an epoch. The idiom
// `prefetch` asks the processor for the row that comes 16 later; `rotate` does so too, and fills two buffers by turns, as who passes
// batches on must: one may stay in the cache of a core where two do not. `stream`, for floats that stay as they are, stores them past
// the caches, which leaves nothing to wait for but the memory. A permutation is given before the clock starts.
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { AHEAD = 16, LINE = 64, PREFETCH_BYTES = 256, MAX_THREADS = 64 };

static const uint8_t *features;
static const int64_t *labels;
static char kind;                              // of an element: u(nsigned 8 bits), d(ouble), f(loat)
static size_t rows, row_len, row_bytes, batch; // row_len counts elements
static size_t threads = 1, buffers = 1; // buffers of each thread
static int prefetch, stream, checking, epochs_per_go;
static uint32_t *order, *seen;
static pthread_barrier_t barrier;
static double first_batch; // When the first thread had its first batch.
static volatile int64_t sink;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

// Maps DATA/WORKLOAD-PART.npy, and finds its shape and type in a header of version 1.
static const void *map(const char *data, const char *workload, const char *part, size_t *count, size_t *len,
                       char *type) {
    char path[4096], header[4096] = {0};
    snprintf(path, sizeof path, "%s/%s-%s.npy", data, workload, part);
    int file = open(path, O_RDONLY);
    struct stat stat;
    if (file < 0 || fstat(file, &stat) || read(file, header, sizeof header - 1) < 128) die(path);
    size_t start = 10 + (uint8_t)header[8] + 256 * (uint8_t)header[9];
    char *descr = strstr(header + 10, "'descr': '"), *shape = strstr(header + 10, "'shape': (");
    assert(descr && shape && header[6] == 1);
    descr += strlen("'descr': '");
    *type = descr[1] == 'u' ? 'u' : descr[1] == 'i' ? 'i' : descr[2] == '8' ? 'd' : 'f';
    *count = strtoull(shape + strlen("'shape': ("), &shape, 10);
    *len = 1;
    for (size_t axis; *shape == ',' && (axis = strtoull(shape + 1, &shape, 10)) > 0;) *len *= axis;
    const char *bytes = mmap(0, stat.st_size, PROT_READ, MAP_SHARED, file, 0);
    if (bytes == MAP_FAILED) die(path);
    return bytes + start;
}

static void copy_past_caches(float *out, const void *row) {
#ifdef __SSE2__
    const __m128i *in = row;
    __m128i *to = (__m128i *)out;
    for (size_t i = 0; i < row_bytes / LINE * 4; i += 4) {
        __m128i a = _mm_loadu_si128(in + i), b = _mm_loadu_si128(in + i + 1);
        __m128i c = _mm_loadu_si128(in + i + 2), d = _mm_loadu_si128(in + i + 3);
        _mm_stream_si128(to + i, a), _mm_stream_si128(to + i + 1, b);
        _mm_stream_si128(to + i + 2, c), _mm_stream_si128(to + i + 3, d);
    }
    _mm_sfence();
#else
    // Without such stores it is what `copy` does.
    memcpy(out, row, row_bytes);
#endif
}

static void convert(float *restrict out, const void *row) {
    if (kind == 'u') {
        const uint8_t *restrict in = row;
        for (size_t i = 0; i < row_len; i++) out[i] = in[i] * (1.0f / 255.0f);
    } else if (kind == 'd') {
        const double *restrict in = row;
        for (size_t i = 0; i < row_len; i++) out[i] = (float)in[i];
    } else if (stream) {
        copy_past_caches(out, row);
    } else {
        memcpy(out, row, row_bytes);
    }
}

// Each row once, and the values that it should have; u8 may differ in the last bit from a division.
static void check(const float *out, const int64_t *out_labels, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t at = out_labels[i];
        const uint8_t *row = features + at * row_bytes;
        if (__atomic_fetch_add(&seen[at], 1, __ATOMIC_RELAXED)) die("a row came twice");
        for (size_t j = 0; j < row_len; j++) {
            float expected = kind == 'u'   ? row[j] / 255.0f
                             : kind == 'd' ? (float)((const double *)row)[j]
                                           : ((const float *)row)[j];
            float off = out[i * row_len + j] - expected;
            if (off > 0x1p-24f || off < -0x1p-24f) die("other values");
        }
    }
}

static void epoch(size_t thread, float *first_out, int64_t *out_labels) {
    size_t turn = 0;
    for (size_t start = thread * batch; start < rows; start += threads * batch) {
        size_t end = start + batch < rows ? start + batch : rows;
        float *out = first_out + turn++ % buffers * batch * row_len;
        for (size_t i = start; i < end; i++) {
            if (prefetch && i + AHEAD < rows) {
                const uint8_t *next = features + order[i + AHEAD] * row_bytes;
                size_t bytes = row_bytes < PREFETCH_BYTES ? row_bytes : PREFETCH_BYTES;
                for (size_t at = 0; at < bytes; at += LINE) __builtin_prefetch(next + at);
                __builtin_prefetch(next + bytes - 1);
                __builtin_prefetch(labels + order[i + AHEAD]);
            }
            convert(out + (i - start) * row_len, features + order[i] * row_bytes);
            out_labels[i - start] = labels[order[i]];
        }
        sink = out_labels[0];
        if (start == 0 && !first_batch) first_batch = now();
        if (checking) check(out, out_labels, end - start);
    }
}

// Runs epochs between two barriers, until there are none to run.
static void *work(void *arg) {
    size_t bytes = (buffers * batch * row_len * sizeof(float) + 4095) / 4096 * 4096;
    float *out = aligned_alloc(4096, bytes);
    int64_t *out_labels = calloc(batch, sizeof *out_labels);
    if (!out || !out_labels) die("memory");
    memset(out, 0, bytes);
    for (;;) {
        pthread_barrier_wait(&barrier);
        if (!epochs_per_go) return 0;
        for (int i = 0; i < epochs_per_go; i++) epoch((size_t)arg, out, out_labels);
        pthread_barrier_wait(&barrier);
    }
}

// The seconds of so many epochs.
static double go(int epochs) {
    epochs_per_go = epochs;
    pthread_barrier_wait(&barrier);
    double start = now();
    if (epochs) pthread_barrier_wait(&barrier);
    return now() - start;
}

static void shuffle(void) {
    uint64_t state = 88172645463325252u;
    order = malloc(rows * sizeof *order);
    if (!order) die("memory");
    for (size_t i = 0; i < rows; i++) order[i] = i;
    for (size_t i = rows - 1; i > 0; i--) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        size_t j = state % (i + 1);
        uint32_t other = order[j];
        order[j] = order[i], order[i] = other;
    }
}

static double peak_mb(void) {
    char line[256];
    double kb = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %lf", &kb);
    return kb / 1000;
}

int main(int argc, char **argv) {
    const char *data = "", *workload = "", *idiom = "", *mode = "epoch";
    double seconds = 0.4;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--data")) data = value;
        else if (!strcmp(name, "--workload")) workload = value;
        else if (!strcmp(name, "--idiom")) idiom = value;
        else if (!strcmp(name, "--mode")) mode = value;
        else if (!strcmp(name, "--batch")) batch = strtoull(value, 0, 10);
        else if (!strcmp(name, "--threads")) threads = strtoull(value, 0, 10);
        else if (!strcmp(name, "--seconds")) seconds = strtod(value, 0);
    }
    if (!strcmp(idiom, "rotate")) buffers = 2;
    prefetch = !strcmp(idiom, "prefetch") || buffers > 1;
    stream = !strcmp(idiom, "stream");
    checking = !strcmp(mode, "check");
    if (!batch || !threads || threads > MAX_THREADS || !(prefetch || stream || !strcmp(idiom, "copy"))) {
        fputs("limits --data FOLDER --workload W --batch N --idiom copy|prefetch|rotate|stream [--threads N]\n", stderr);
        return 2;
    }

    double opened = now();
    size_t label_rows, label_len;
    char label_kind;
    features = map(data, workload, "features", &rows, &row_len, &kind);
    labels = map(data, workload, "labels", &label_rows, &label_len, &label_kind);
    assert(label_rows == rows && label_len == 1 && label_kind == 'i' && kind != 'i');
    row_bytes = row_len * (kind == 'u' ? 1 : kind == 'd' ? 8 : 4);
    if (stream && (kind != 'f' || row_bytes % LINE)) {
        fputs("only whole cache lines of float are streamed\n", stderr);
        return 2;
    }
    shuffle();
    seen = calloc(rows, sizeof *seen);

    pthread_t ids[MAX_THREADS];
    pthread_barrier_init(&barrier, 0, threads + 1);
    for (size_t i = 0; i < threads; i++)
        if (pthread_create(&ids[i], 0, work, (void *)i)) die("a thread");
    int epochs = 1;
    double took = go(1); // The warm-up, unless the first epoch is what was asked for.
    if (!strcmp(mode, "epoch")) {
        double one = go(1);
        epochs = one < seconds ? (int)(seconds / one) + 1 : 1;
        took = go(epochs);
    }
    go(0);
    for (size_t i = 0; i < threads; i++) pthread_join(ids[i], 0);
    if (checking) {
        for (size_t i = 0; i < rows; i++)
            if (seen[i] != 1) die("an epoch does not have every row once");
        return 0;
    }
    printf("{\"workload\": \"%s\", \"batch\": %zu, \"who\": \"limit\", \"idiom\": \"%s-%zu\", \"samples_s\": %.1f, "
           "\"first_batch_ms\": %.3f, \"rss_mb\": %.1f}\n",
           workload, batch, idiom, threads, rows * epochs / took, (first_batch - opened) * 1e3, peak_mb());
}
