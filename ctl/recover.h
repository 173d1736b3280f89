#pragma once
/* What `recover-quorum` finds out before it asks anything (E4). */
#include "cluster/sync_state.h"
#include "ctl/ctl.h"

/* One configured member, as its sidecar and its etcd answer. */
struct recover_word {
    const char *name;
    const char *api_url;
    const char *client_url;
    bool rest;   /* GET /pgvigil/etcd was answered */
    bool data;   /* has etcd data */
    bool pgdata; /* has a data directory of Postgres */
    bool witness;
    char says[LIMIT_REASON];
    bool etcd; /* its etcd answers */
    bool learner;
    uint64_t leader; /* raft leader that it sees; 0: none */
    uint64_t raft_index;
    int64_t revision;
    char state[LIMIT_NAME]; /* of Postgres */
    char role[LIMIT_NAME];
    int64_t timeline;
    int64_t position;
};

struct recover_survey {
    size_t n;
    struct recover_word words[LIMIT_MEMBERS];
    struct sync_state sync; /* as the survivor with the newest etcd data has it */
    bool sync_known;
};

/* Asks everybody; takes some seconds for those who are gone. */
void recover_survey(struct ctl *ctl, struct recover_survey *ret_survey);
void recover_print(const struct recover_survey *survey);
/* Somebody sees a raft leader: there is a quorum. */
const struct recover_word *recover_has_quorum(const struct recover_survey *survey);
/* Who should found the new quorum: the newest etcd data, then the newest Postgres. NULL: nobody has
 * anything. Pure. */
const struct recover_word *recover_best(const struct recover_survey *survey);
const struct recover_word *recover_find(const struct recover_survey *survey, const char *name);
