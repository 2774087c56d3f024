/* For the test of the same name: each look by path at a file whose name contains "unstable" gives
   another inode number, as some network mounts do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/stat.h>

int statx(int folder, const char *restrict path, int flags, unsigned mask,
          struct statx *restrict found) {
    static int (*next)(int, const char *, int, unsigned, struct statx *);
    static unsigned looks;
    if (!next) next = dlsym(RTLD_NEXT, "statx");
    int status = next(folder, path, flags, mask, found);
    if (status == 0 && path && strstr(path, "unstable")) found->stx_ino += ++looks;
    return status;
}
