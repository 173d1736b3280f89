#pragma once
/* struct postgres as its own sources and the steps see it. Nobody else includes this. */
#include "settings/parameters.h"
#include "sidecar/postgres/conf.h"
#include "sidecar/postgres/look.h"
#include "sidecar/postgres/place.h"
#include "sidecar/postgres/postgres.h"
#include "sidecar/postgres/probe.h"
#include "sidecar/postgres/session.h"
#include "sidecar/postgres/slots.h"
#include "sidecar/postgres/tools.h"
#include "sidecar/postgres/upstream.h"

/* What is known of the postmasters that the guard has started. */
struct lives {
    struct mono guard_since;
    uint64_t child;
    bool running;      /* as last told */
    bool answered;     /* this one has answered a query */
    bool told_to_stop; /* by us */
    unsigned failures; /* in a row */
};

/* Since when a member's walsender has not been seen. */
struct absence {
    char name[LIMIT_NAME];
    struct mono since;
};

/* Parameters that this server's binary does not know or take: left out until the settings change, so
 * that a mistake of a person does not keep Postgres from starting. */
struct refused {
    size_t n;
    char name[PG_PENDING_MAX][LIMIT_NAME];
};

/* What of an answer is news to a decision: all but positions. */
struct gist {
    unsigned flags;
    uint32_t timeline;
    unsigned n_senders;
    unsigned n_slots;
    unsigned settings_round;
    unsigned senders[LIMIT_MEMBERS];
};

struct postgres {
    struct postgres_parts parts;
    struct place place;
    bool usable; /* the place makes sense */
    struct tools *tools;
    struct probe *probe;
    struct slots *slots;
    struct session *sweeper; /* drops slots that hold WAL on a standby */
    struct mono swept_at;
    struct source *stale; /* tells the owner, from the loop */
    struct look look;
    struct lives lives;
    struct upstream upstream;

    struct text *warned;    /* what was said of the parameters */
    int binary_version;     /* of the programs that the guard runs; 0: not asked yet */
    bool checked;           /* the server's binary has seen these settings */
    struct refused refused; /* parameters that the server does not take */
    struct conf_role role;
    bool role_known;          /* read from the disk, or written by us */
    struct conf_files wanted; /* as the files should be now */
    struct source *compare;   /* wanted against the disk */
    bool compare_again;
    bool files_differ;
    bool reload_due; /* a change may not have reached the server */
    bool writing;    /* a step writes: do not compare */

    enum ssn_kind ssn_disk;
    struct names ssn_disk_names;

    enum pg_state state;
    struct mono state_since;
    bool wal_read; /* while it is down: of pg_view */
    lsn_t wal_whole;
    struct mono began;          /* when we were made */
    enum member_state activity; /* of a step that works without a postmaster; else UNKNOWN */
    struct gist gist;           /* of the last answer */
    bool busy;
    struct absence absences[LIMIT_MEMBERS];
    struct pg_facts facts;
    size_t n_pending; /* parameters that wait for a restart */
    struct pg_pending pending[PG_PENDING_MAX];
    unsigned pending_for; /* the answer of the probe that they were made from */
    const struct settings *pending_settings;
    char trouble[512]; /* of the last step that failed, until something works again */
    char progress[LIMIT_REASON];
    int clone_percent;
};

/* ---- for the steps ---- */

/* Parameters of this node in the given role; the caller frees them. */
void postgres_parameters(const struct postgres *postgres, bool primary,
                         struct parameters *ret_parameters);
/* What `postgres -C` has said against the files. True: something more is left out from now on. */
bool postgres_refuse(struct postgres *postgres, const char *output);
/* The files for postgres->role; the caller frees them. */
void postgres_render(const struct postgres *postgres, struct conf_files *ret_files);
/* The role has changed, or the files were written: compare again. */
void postgres_role_changed(struct postgres *postgres);
/* What the disk has now as SSN. */
void postgres_note_ssn(struct postgres *postgres);
void postgres_changed(struct postgres *postgres); /* the view is stale */
void postgres_set_activity(struct postgres *postgres, enum member_state activity);
void postgres_set_progress(struct postgres *postgres, const char *line, int percent);
void postgres_set_trouble(struct postgres *postgres, const char *text);
void postgres_told_to_stop(struct postgres *postgres);

/* ---- between the sources of struct postgres ---- */

/* postgres_conf.c */
void conf_compare(struct postgres *postgres);
void conf_adopt_disk(struct postgres *postgres);  /* the look has read postgresql.conf */
void conf_follow_role(struct postgres *postgres); /* the probe has seen whether it is a standby */
/* postgres_sweep.c */
void sweep_begin(struct postgres *postgres);
void sweep_slots(struct postgres *postgres); /* after a round of the probe */
/* postgres_facts.c */
void facts_fill(struct postgres *postgres);
bool postgres_replay_held(const struct postgres *postgres);
