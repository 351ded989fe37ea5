/* Put before a program with LD_PRELOAD, it makes each fsync and fdatasync take two milliseconds longer: a disk that does not
   acknowledge from a cache. The real call is still made. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

static void wait_for_the_platter(void) {
    struct timespec left = {0, 2000000};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {
    }
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_for_the_platter();
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_for_the_platter();
    return real(file);
}
