/* A disk whose flush takes longer: fdatasync, with which Postgres flushes its WAL on Linux, returns as much later as
 * THAW_BENCH_FLUSH_MICROS says. fsync is left as it is, with which whole databases are copied and checkpoints end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int fdatasync(int fd)
{
    static int (*real)(int);
    static struct timespec later;
    if (!real) {
        const char *text = getenv("THAW_BENCH_FLUSH_MICROS");
        long micros = text ? atol(text) : 0;
        later.tv_sec = micros / 1000000;
        later.tv_nsec = micros % 1000000 * 1000;
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    }
    int result = real(fd);
    nanosleep(&later, NULL);
    return result;
}
