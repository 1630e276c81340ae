// SPDX-License-Identifier: Apache-2.0
// spawn COUNT PROGRAM [ARGS]: runs the program COUNT times without its output and prints one line
// for each run: milliseconds from before the start to after the end, and the peak of its resident
// memory in kB. A small program starts it, because a process begins with the peak of the one that
// it was forked from.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    long count = argc > 2 ? strtol(argv[1], NULL, 10) : 0;

    if (count < 1) {
        fputs("usage: spawn COUNT PROGRAM [ARGS]\n", stderr);
        return 2;
    }
    while (count-- > 0) {
        double began = now_ms(), ended;
        struct rusage use;
        pid_t child = vfork();
        int status;

        if (child == 0) {
            int out = open("/dev/null", O_RDWR);

            dup2(out, 0);
            dup2(out, 1);
            execvp(argv[2], argv + 2);
            _exit(127);
        }
        if (child < 0 || wait4(child, &status, 0, &use) != child)
            return 1;
        ended = now_ms();
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "spawn: %s ended with %d\n", argv[2], status);
            return 1;
        }
        printf("%.3f %ld\n", ended - began, use.ru_maxrss);
    }
    return 0;
}
