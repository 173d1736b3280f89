/* pgvigil-sim: seeds and mutations. The failing seed is printed first, then what it broke, then its
 * transcript. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "tests/sim/regress.h"
#include "tests/sim/sim.h"

enum {
    COVERAGE_SEEDS = 5000,
    MUTATION_SEEDS = 20000,
    QUICK_SEEDS = 2000,
    FAILURES_SHOWN = 5,
    FAULTS_LEAST = 5 /* of a life that proves something */
};

struct options {
    uint64_t first, seeds, at_least;
    double seconds;
    bool one, mutations;
    bool quick; /* of the mutations: what is not caught by its known seed is soon given up */
    enum mutation only, focus;
};

static double seconds_now(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* ---- one seed --------------------------------------------------------------------------- */

static bool run(struct sim *sim, uint64_t seed, enum mutation mutation, enum mutation focus)
{
    sim_init(sim, seed, mutation, focus);
    sim_run(sim);
    return sim->broken == NULL;
}

static void print_trace(const struct sim *sim)
{
    int first = sim->n_trace > TRACE_LINES ? sim->n_trace - TRACE_LINES : 0;
    for (int i = first; i < sim->n_trace; i++)
        (void)puts(sim->trace[i % TRACE_LINES]);
}

static void print_failure(struct sim *sim, uint64_t seed, enum mutation mutation,
                          enum mutation focus)
{
    struct counters kept = sim->counters;
    sim->tracing = true;
    (void)run(sim, seed, mutation, focus);
    sim->tracing = false;
    sim->counters = kept;
    (void)printf("seed %llu\nbroke %s: %s\n", (unsigned long long)seed,
                 sim->broken != NULL ? sim->broken : "nothing",
                 sim->broken != NULL ? sim->broken_why : "");
    print_trace(sim);
    (void)fflush(stdout);
}

/* ---- totals ----------------------------------------------------------------------------- */

static void print_totals(const struct counters *counters)
{
    (void)printf("faults\n");
    for (int i = 0; fault_name(i) != NULL; i++)
        (void)printf("  %12llu  %s\n", (unsigned long long)counters->fault[i], fault_name(i));
    (void)printf("rules\n");
    for (size_t i = 0; decide_rule_name(i) != NULL; i++)
        (void)printf("  %12llu  %s\n", (unsigned long long)counters->rule[i], decide_rule_name(i));
    (void)printf("steps\n");
    for (int i = 0; i < STEP_MAX; i++)
        (void)printf("  %12llu  %s\n", (unsigned long long)counters->step[i],
                     step_name((enum step_kind)i));
}

/* A rule or a step that no seed takes is not proven by any. */
static int print_untaken(const struct counters *counters)
{
    int n = 0;
    for (size_t i = 0; decide_rule_name(i) != NULL; i++) {
        if (counters->rule[i] != 0)
            continue;
        (void)printf("FAIL rule never taken: %s\n", decide_rule_name(i));
        n++;
    }
    for (int i = 0; i < STEP_MAX; i++) {
        if (counters->step[i] != 0)
            continue;
        (void)printf("FAIL step never taken: %s\n", step_name((enum step_kind)i));
        n++;
    }
    for (int i = 0; fault_name(i) != NULL; i++) {
        if (counters->fault[i] != 0)
            continue;
        (void)printf("FAIL fault never begun: %s\n", fault_name(i));
        n++;
    }
    return n;
}

static void print_formation(const struct formation_counts *counts)
{
    (void)printf("formation of etcd: %llu lives; %llu founded, %llu joined, %llu added, %llu "
                 "promoted, %llu removed, %llu set aside, %llu volumes lost\n",
                 (unsigned long long)counts->runs, (unsigned long long)counts->founded,
                 (unsigned long long)counts->joined, (unsigned long long)counts->added,
                 (unsigned long long)counts->promoted, (unsigned long long)counts->removed,
                 (unsigned long long)counts->set_aside, (unsigned long long)counts->lost);
}

static uint64_t faults(const struct counters *counters)
{
    uint64_t sum = 0;
    for (int i = 0; i < FAULTS_MAX; i++)
        sum += counters->fault[i];
    return sum;
}

static void print_sums(const struct counters *counters, uint64_t seeds, double took)
{
    double n = seeds > 0 ? (double)seeds : 1;
    (void)printf(
        "%llu seeds of 300 s in %.1f s (%.2f ms each): per seed %.1f faults, %.2f leader "
        "changes, %.1f promotions, %.2f accepted losses, %.2f failsafe rounds, %.2f lifts, %.2f retakes, %.0f commits acknowledged, %.0f cycles, %.0f events\n",
        (unsigned long long)seeds, took, took * 1000 / n, (double)faults(counters) / n,
        (double)counters->leader_changes / n, (double)counters->promotions / n,
        (double)counters->forgiven / n, (double)counters->rounds / n, (double)counters->lifts / n,
        (double)counters->retakes / n, (double)counters->acked / n, (double)counters->cycles / n,
        (double)counters->events / n);
}

/* Whether a common run has shown enough: the number of complaints. `tame`: seeds with too few faults. */
static int judge(const struct counters *counters, uint64_t seeds, uint64_t tame)
{
    (void)printf("%llu seeds began fewer than %d faults\n", (unsigned long long)tame, FAULTS_LEAST);
    if (seeds < COVERAGE_SEEDS) {
        (void)printf("not judged below %d seeds: whether every rule, step and fault was taken, and "
                     "a leader change per seed\n",
                     COVERAGE_SEEDS);
        return 0;
    }
    int n = print_untaken(counters);
    if (counters->leader_changes < seeds) {
        (void)printf("FAIL less than one leader change per seed\n");
        n++;
    }
    /* A fault that is drawn at the end of its round may find nothing that it could hit any more. */
    if (tame * 1000 > seeds) {
        (void)printf("FAIL that is more than one in a thousand\n");
        n++;
    }
    return n;
}

/* ---- the runs --------------------------------------------------------------------------- */

static uint64_t run_regressions(struct sim *sim)
{
    uint64_t failed = 0;
    for (size_t i = 0; i < REGRESSIONS; i++) {
        if (run(sim, regressions[i].seed, MUT_NONE, regressions[i].focus))
            continue;
        failed++;
        (void)printf("FAIL it once showed: %s\n", regressions[i].showed);
        print_failure(sim, regressions[i].seed, MUT_NONE, regressions[i].focus);
    }
    return failed;
}

static int run_seeds(struct sim *sim, const struct options *options)
{
    bool common = options->only == MUT_NONE && options->focus == MUT_NONE;
    uint64_t failed = common ? run_regressions(sim) : 0;
    uint64_t passed = common ? REGRESSIONS - failed : 0;
    uint64_t tame = 0;
    double began = seconds_now(), said = began;
    for (uint64_t seed = options->first;; seed++) {
        uint64_t done = seed - options->first;
        double now = seconds_now();
        bool enough = options->seconds > 0
                          ? done >= options->at_least && now - began >= options->seconds
                          : done >= options->seeds;
        if (enough)
            break;
        if (now - said > 2) {
            (void)fprintf(stderr, "%llu seeds, %llu failed\r", (unsigned long long)done,
                          (unsigned long long)failed);
            said = now;
        }
        uint64_t begun = faults(&sim->counters);
        if (run(sim, seed, options->only, options->focus)) {
            tame += faults(&sim->counters) - begun < FAULTS_LEAST;
            passed++;
            continue;
        }
        failed++;
        if (failed <= FAILURES_SHOWN)
            print_failure(sim, seed, options->only, options->focus);
        else
            (void)printf("seed %llu broke %s: %s\n", (unsigned long long)seed, sim->broken,
                         sim->broken_why);
    }
    print_totals(&sim->counters);
    print_formation(&sim->counters.formation);
    print_sums(&sim->counters, passed + failed, seconds_now() - began);
    int complaints = common ? judge(&sim->counters, passed + failed, tame) : 0;
    (void)printf("%llu passed, %llu failed, 0 skipped\n", (unsigned long long)passed,
                 (unsigned long long)failed);
    return failed > 0 || complaints > 0;
}

static int run_one(struct sim *sim, const struct options *options)
{
    print_failure(sim, options->first, options->only, options->focus);
    bool ok = sim->broken == NULL;
    (void)printf("%d passed, %d failed, 0 skipped\n", ok, !ok);
    return !ok;
}

/* It breaks its invariant, in a life that is whole without it. */
static bool catches(struct sim *sim, uint64_t seed, enum mutation mutation)
{
    if (seed == 0 || run(sim, seed, mutation, mutation) ||
        strcmp(sim->broken, mutation_breaks(mutation)) != 0 || !run(sim, seed, MUT_NONE, mutation))
        return false;
    return !run(sim, seed, mutation, mutation);
}

/* 0: none of them. */
static uint64_t catching_seed(struct sim *sim, enum mutation mutation,
                              const struct options *options)
{
    if (catches(sim, mutation_seeds[mutation], mutation))
        return mutation_seeds[mutation];
    uint64_t most = options->quick ? QUICK_SEEDS : MUTATION_SEEDS;
    for (uint64_t n = 0; n < most; n++)
        if (catches(sim, options->first + n, mutation))
            return options->first + n;
    return 0;
}

static bool run_mutation(struct sim *sim, enum mutation mutation, const struct options *options)
{
    uint64_t seed = catching_seed(sim, mutation, options);
    if (seed != 0)
        (void)printf("caught %-3s %-17s %s: seed %llu broke %s: %s\n", mutation_rule(mutation),
                     mutation_name(mutation), mutation_text(mutation), (unsigned long long)seed,
                     sim->broken, sim->broken_why);
    else
        (void)printf("FAIL uncaught %-3s %s %s: %s is not broken\n", mutation_rule(mutation),
                     mutation_name(mutation), mutation_text(mutation), mutation_breaks(mutation));
    if (seed != 0 && seed != mutation_seeds[mutation])
        (void)printf("    regress.h: [MUT_%s] = %llu,\n", mutation_name(mutation),
                     (unsigned long long)seed);
    (void)fflush(stdout);
    return seed != 0;
}

static int run_mutations(struct sim *sim, const struct options *options)
{
    int caught = 0, uncaught = 0;
    double began = seconds_now();
    for (int m = MUT_NONE + 1; m < MUT_MAX; m++) {
        if (options->only != MUT_NONE && (enum mutation)m != options->only)
            continue;
        if (run_mutation(sim, (enum mutation)m, options))
            caught++;
        else
            uncaught++;
    }
    (void)printf("%d mutations in %.1f s\n%d passed, %d failed, 0 skipped\n", caught + uncaught,
                 seconds_now() - began, caught, uncaught);
    return uncaught > 0;
}

static int usage(void)
{
    (void)fprintf(
        stderr,
        "usage: pgvigil-sim [--seeds N] [--first S] [--seed S] [--seconds T "
        "--at-least N] [--mutations | --quick-mutations] [--mutation NAME] [--focus NAME]\n");
    return 2;
}

static bool parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        bool quick = strcmp(argv[i], "--quick-mutations") == 0;
        if (quick || strcmp(argv[i], "--mutations") == 0) {
            options->mutations = true;
            options->quick = quick;
            continue;
        }
        if (i + 1 == argc)
            return false;
        const char *name = argv[i];
        const char *value = argv[++i];
        unsigned long long number = strtoull(value, NULL, 10);
        if (strcmp(name, "--seeds") == 0)
            options->seeds = number;
        else if (strcmp(name, "--first") == 0)
            options->first = number;
        else if (strcmp(name, "--at-least") == 0)
            options->at_least = number;
        else if (strcmp(name, "--seconds") == 0)
            options->seconds = (double)number;
        else if (strcmp(name, "--mutation") == 0 && mutation_from_name(value) != MUT_MAX)
            options->only = options->focus = mutation_from_name(value);
        else if (strcmp(name, "--focus") == 0 && mutation_from_name(value) != MUT_MAX)
            options->focus = mutation_from_name(value);
        else if (strcmp(name, "--seed") == 0) {
            options->first = number;
            options->one = true;
        } else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options options = { .first = 1, .seeds = 1000 };
    if (!parse(argc, argv, &options))
        return usage();
    struct sim *sim = mem_struct(struct sim);
    sim->trace = mem_array(TRACE_LINES, TRACE_LINE);
    int rc = options.mutations ? run_mutations(sim, &options)
             : options.one     ? run_one(sim, &options)
                               : run_seeds(sim, &options);
    free(sim->trace);
    free(sim);
    return rc;
}
