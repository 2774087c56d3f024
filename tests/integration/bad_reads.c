/* Reads of a place of a file that fail: a place of $BAD_FILE that covers the byte at which the
   file $BAD_READS says. It has that byte and the number of the error. Preloaded by a test. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef ssize_t (*pread64_fn)(int, void *, size_t, off64_t);

static int fails(int fd, size_t len, off64_t offset) {
    struct stat file, bad;
    const char *path = getenv("BAD_FILE"), *reads = getenv("BAD_READS");
    if (!path || !reads || stat(path, &bad) || fstat(fd, &file)) return 0;
    if (file.st_dev != bad.st_dev || file.st_ino != bad.st_ino) return 0;
    FILE *rule = fopen(reads, "r");
    if (!rule) return 0;
    long long byte = 0;
    int error = 0, found = fscanf(rule, "%lld %d", &byte, &error);
    fclose(rule);
    return found == 2 && offset <= byte && byte < offset + (off64_t)len ? error : 0;
}

ssize_t pread64(int fd, void *out, size_t len, off64_t offset) {
    static pread64_fn real;
    if (!real) real = (pread64_fn)dlsym(RTLD_NEXT, "pread64");
    int error = fails(fd, len, offset);
    if (error) {
        errno = error;
        return -1;
    }
    return real(fd, out, len, offset);
}
