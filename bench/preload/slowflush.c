/* Delays WAL flushes: fdatasync, which Postgres uses to flush the WAL on Linux, returns THAW_BENCH_FLUSH_MICROS microseconds
 * later. fsync, which is used to copy databases and to finish checkpoints, is not delayed. */
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
