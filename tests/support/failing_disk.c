// Preloaded into the server: lets writes and flushes of the database's files fail when the test says so.
// The test and the server share a page of memory (see failing_disk.py), so that faults come and go while it runs.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE = 1, FLUSH = 2 };

struct control {
    atomic_int kinds;    // which operations count, a sum of the above; 0: none
    atomic_int wal_only; // only the write-ahead log's
    atomic_int nth;      // the first operation that fails, counted from 1 since `seen` was set to 0
    atomic_int times;    // how many fail
    atomic_int error;    // with this errno
    atomic_int seen;
    atomic_int failed;
    atomic_int unflushed; // the write-ahead log was written to since it was last flushed
};

static struct control *control;

__attribute__((constructor)) static void open_control(void) {
    const char *path = getenv("FAILING_DISK");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page != MAP_FAILED)
        control = page;
    close(file);
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), wanted = strlen(end);
    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

enum { OTHER, DATABASE, LOG };

static int kind_of(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return OTHER;
    path[length] = 0;
    return ends_with(path, ".db-wal") ? LOG : ends_with(path, ".db") ? DATABASE : OTHER;
}

static int fails(int kind, int file) {
    int of = control ? kind_of(file) : OTHER;
    if (of == OTHER)
        return 0;
    if (of == LOG && kind == WRITE)
        control->unflushed = 1;
    if (!(control->kinds & kind) || (control->wal_only && of != LOG))
        return 0;
    int number = atomic_fetch_add(&control->seen, 1) + 1;
    if (number < control->nth || number >= control->nth + control->times)
        return 0;
    atomic_fetch_add(&control->failed, 1);
    errno = control->error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) {
    return fails(WRITE, file) ? -1 : REAL(write)(file, data, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    return fails(WRITE, file) ? -1 : REAL(pwrite)(file, data, size, at);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    return fails(WRITE, file) ? -1 : REAL(pwrite64)(file, data, size, at);
}

static int flushed(int file, int result) {
    if (result == 0 && control && kind_of(file) == LOG)
        control->unflushed = 0;
    return result;
}

int fsync(int file) { return fails(FLUSH, file) ? -1 : flushed(file, REAL(fsync)(file)); }

int fdatasync(int file) { return fails(FLUSH, file) ? -1 : flushed(file, REAL(fdatasync)(file)); }
