#pragma once
/* Forks and executes a program with default signal dispositions. The failure to execute comes later
 * through a pipe: a program file on a stuck disk must not keep the guard from its deadline. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct spawn {
    char *const *argv;
    char *const *env;
    const char *cwd;      /* NULL: ours */
    int output;           /* becomes standard output and error; -1: ours */
    bool die_with_parent; /* PR_SET_PDEATHSIG: a dead guard is a dead postmaster */
    bool own_session;
};

/* Returns the pid, or -1 with errno. `ret_verdict` is the reading end for spawn_verdict; the caller
 * closes it. */
pid_t spawn_start(const struct spawn *spawn, int *ret_verdict);

enum spawn_verdict { SPAWN_PENDING, SPAWN_RUNS, SPAWN_FAILED };
/* Did the program start? With SPAWN_FAILED `ret_errno` says why not, and the process is ending. */
enum spawn_verdict spawn_verdict(int verdict, int *ret_errno);
