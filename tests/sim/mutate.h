#pragma once
/* Deliberate breaches of the rules, put where the rule lives in the simulation's own layers: plans,
 * awaits and views on their way, requests, the guard. Production code has no hooks. */
#include <stdbool.h>
#include <stddef.h>

/* Name, the rule that is breached, the invariant that breaks for it, what is done. "(bare lease)": see
 * mutation_bare_lease.
 *
 * Three breaches are not among them, since other rules cover for them wholly:
 * - A deadline that passed is not final (L3). Whoever offers one that is still to come has renewed a
 *   lease that still held (L1), or adopted a key that nobody had taken (L7): nobody else holds the key
 *   then. What lay around meanwhile is in the past, and refused.
 * - Who leads promises too (L6). A round counts only if the asker's hold lasted when it was sent, and
 *   others lead only after that: the promise comes when the asker's Postgres has been ended (L3), and a
 *   start as primary needs a word of the store, which tells of the other's key.
 * - The deadline is lifted before every member shows the pause (L8). The mark that stands in the holder
 *   record before the lift bars whoever looks, and a taking under way compares that record and the
 *   config key: who has not heard of the pause fails by either. */
#define MUTATIONS(X)                                                                               \
    X(NONE, "-", "-", "nothing")                                                                   \
    X(LEASE_FROM_REPLY, "L1", "I1", "lease counted from the reply (bare lease)")                   \
    X(NO_READ, "L1", "I1", "renewal without the linearizable read")                                \
    X(TERMS, "L1", "I1", "renewal without comparing raft terms (bare lease)")                      \
    X(NO_TRACE, "L1", "I1", "the trace of a renewal is not waited for")                            \
    X(NO_DEMOTE, "L2", "I1", "no demotion before the lease ends, and no guard")                    \
    X(GUARD_SLEEPS, "L3", "I1", "the guard does not kill at the deadline")                         \
    X(GUARD_LATE, "L3", "I1", "the guard's deadline is the lease end and two seconds")             \
    X(GUARD_COUNTS_ANEW, "L3", "I1", "the guard counts a deadline from when it hears of it")       \
    X(NO_GUARD_ACK, "L4", "L4", "promote without the guard's acknowledgement")                     \
    X(CONNECT_LIFTS, "L5", "I1", "a restarted sidecar takes the guard's deadline away")            \
    X(RELEASE_BY_NAME, "L7", "I1", "release compares the name")                                    \
    X(RELEASE_KEPT, "L7", "I1", "a release whose reply is lost is not counted as sent")            \
    X(TAKE_NO_HOLDER, "L7", "I1", "the key is taken without regard to the holder record")          \
    X(TAKE_OVER, "L7", "I1", "the key is taken without comparing anything")                        \
    X(TAKE_NO_CONFIG, "L8", "L8", "the key is taken without comparing the config key")             \
    X(ROUND_OF_SOME, "L6", "I1", "a round of /failsafe counts when somebody accepts")              \
    X(ROUND_FROM_REPLY, "L6", "I1", "a round of /failsafe is counted from its replies")            \
    X(PROMISE_BROKEN, "L6", "I1", "a promise not to race is not kept")                             \
    X(YOUNG_RACES, "L6", "I1", "a restarted sidecar races at once (bare lease)")                   \
    X(UNNAMED_RACES, "L6", "I1", "a member that /failsafe does not name races")                    \
    X(NAMED_UNPROMISED, "L6", "I1", "/failsafe names one more while promises of the others live")  \
    X(ADOPT_FORGETS, "L6", "I1", "/failsafe names one more after an adoption, before a renewal")   \
    X(ROUND_UNWRITTEN, "L6", "I1", "a round asks whom /failsafe is to name, written or not")       \
    X(LIFT_UNMARKED, "L8", "I1", "the deadline is lifted without a mark in the holder record")     \
    X(UNMARKED_EARLY, "L8", "I1", "the mark goes before the guard has a deadline again")           \
    X(LIFT_NO_BAR, "L8", "I1", "a marked holder record does not bar the race")                     \
    X(RACE_IN_PAUSE, "L8", "L8", "pause does not stop the race")                                   \
    X(GROW_AT_ONCE, "S1", "S1", "grow /sync before the standby is sync")                           \
    X(RACE_OUTSIDE_SYNC, "S1", "S1", "a member outside /sync races")                               \
    X(SYNC_FIRST, "S2", "S1", "grow /sync first, then the names")                                  \
    X(SSN_FIRST, "S2", "S1", "shrink the names first, then /sync")                                 \
    X(NO_PROBE, "S2", "S1", "growth without seeing a commit wait")                                 \
    X(NO_NOBODY, "S2", "S1", "growth without the name that nobody has")                            \
    X(EARLY_FLUSH, "S2", "S1", "the flush position is read before commits wait")                   \
    X(CLONE_IN_SYNC, "S2", "S2", "a member that /sync names is cloned")                            \
    X(SSN_NOT_COVERING, "S2", "S1", "restart in place with an empty list of names")                \
    X(SYNC_NO_COMPARE, "S3", "S1", "/sync is written without comparing")                           \
    X(NO_S4, "S4", "S4", "promote without S4's transaction")                                       \
    X(NEVER_SHRINK, "S5", "S5", "the set does not shrink when the standby is gone")                \
    X(ANY_STORE, "S6", "lost", "a store that was set back is taken for the same")                  \
    X(NO_CONFIRMED, "S7", "S7", "what is confirmed is not looked at")                              \
    X(LEADER_UNASKED, "part 6", "kept", "data are removed on the word of the leader's keys")       \
    X(STOP_LEFT_ALONE, "G2", "G2", "the guard leaves a stop to the sidecar alone")                 \
    X(NO_LOCK, "G3", "G3", "no lock beside PGDATA")                                                \
    X(GONE_EARLY, "G1", "I1", "the tree counts as gone when the postmaster exits")                 \
    X(REVOKED_REUSED, "L7", "I1", "a lease whose revocation was sent is used again (bare lease)")  \
    X(ADOPT_IN_PLACE, "L7", "I1", "adopting does not rewrite the key")                             \
    X(FOUND_ALONE, "E1", "E1", "the founder does not wait for the others' answers")                \
    X(REPLACE_ABSENT, "E3", "E3", "a member is replaced because it is absent")                     \
    X(EMPTY_VOTES, "E3", "S1", "an etcd member that lost its data votes at once")

#define MUTATION_ENUM(name, rule, breaks, text) MUT_##name,
enum mutation { MUTATIONS(MUTATION_ENUM) MUT_MAX };
#undef MUTATION_ENUM

struct sim;
struct plan;
struct view;
struct step;

const char *mutation_name(enum mutation mutation);
/* MUT_MAX: there is none of that name. */
enum mutation mutation_from_name(const char *name);
const char *mutation_rule(enum mutation mutation);
const char *mutation_breaks(enum mutation mutation);
const char *mutation_text(enum mutation mutation);

/* Both the trace of renewals and what it guards against are left out: it would cover for the rule. */
bool mutation_bare_lease(const struct sim *sim);
/* The view on its way to decide(). */
void mutate_view(const struct sim *sim, struct view *view);
/* A plan before it begins. */
void mutate_plan(const struct sim *sim, struct plan *plan);
/* True: the condition of this step is answered yes. */
bool mutate_await(const struct sim *sim, const struct step *step);
