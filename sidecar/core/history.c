#include "sidecar/core/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sidecar/core/rules.h"

void text_into(char to[LIMIT_NAME], const char *from)
{
    (void)text_copy(to, LIMIT_NAME, from);
}

/* The leader's history where its content is known: it publishes it in `confirmed` (S7). */
static const struct timeline *leader_timeline(const struct view *view)
{
    const struct peer *leader = view_peer(view, view->store.leader);
    if (leader == NULL || leader->member.timeline == 0)
        return NULL;
    if (view->store.confirmed_exists && view->store.confirmed.tli == leader->member.timeline)
        return &view->store.confirmed;
    if (leader->timeline.tli == leader->member.timeline &&
        (leader->timeline.n > 0 || leader->timeline.tli == 1))
        return &leader->timeline;
    return NULL;
}

bool history_is_told(const struct view *view)
{
    return leader_timeline(view) != NULL;
}

enum history_verdict history_against_leader(const struct view *view)
{
    const struct timeline *leader = leader_timeline(view);
    if (view->pg.rewinding)
        return HISTORY_DIVERGED;
    if (view->memory.rewind_checked)
        return HISTORY_SAME;
    if (leader == NULL || view->pg.timeline.tli == 0)
        return HISTORY_UNKNOWN;
    bool running = view->pg.state != PG_DOWN;
    if (timeline_equal(leader, &view->pg.timeline))
        return HISTORY_SAME;
    /* A stopped primary's last record begins at its position: it must lie before the fork. */
    bool last_record_begins = !running && view->pg.was_primary;
    lsn_t end = view->pg.position + (last_record_begins ? 1 : 0);
    if (!timeline_contains(leader, &view->pg.timeline, end))
        return HISTORY_DIVERGED;
    /* After a crash the control file does not tell where the WAL ends. */
    if (!running && view->pg.was_primary && !view->pg.clean_stop)
        return HISTORY_UNKNOWN;
    return HISTORY_SAME;
}

/* Nobody has WAL for a standby that has diverged: asked all the same, Postgres logs a refusal at each
 * wal_retrieve_retry_interval. Where that is not certain it goes on asking. */
static bool stay_out(const struct view *view, struct decision *decision,
                     enum history_verdict verdict, const char *why)
{
    bool asks = view->pg.state == PG_UP && view->pg.upstream[0] != '\0';
    bool in_vain = asks && verdict == HISTORY_DIVERGED;
    if (in_vain)
        decision->peer[0] = '\0';
    return say(decision, in_vain ? ACT_FOLLOW : ACT_WAIT,
               "this member's WAL is not on the way of %s and %s: staying out; reinit this member "
               "to replace its data",
               view->store.leader, why);
}

static bool leader_is_ready(const struct view *view)
{
    const struct peer *leader = view_peer(view, view->store.leader);
    return leader != NULL && leader->member.role == MEMBER_ROLE_PRIMARY &&
           leader->member.state == MEMBER_RUNNING;
}

/* Before 16, pg_rewind took the leader's timeline from its last checkpoint: between a promotion and the
 * first one after it, it finds nothing to be done. */
static bool rewind_is_too_early(const struct view *view)
{
    const struct peer *leader = view_peer(view, view->store.leader);
    long release = strtol(leader->member.version, NULL, 10); /* 0: not told */
    return leader->member.checkpoint_pending && release != 0 && release < 16;
}

bool history_wal_missing(const struct view *view, struct decision *decision)
{
    bool allowed = view->policy.clone_on_divergence || view->policy.clone_on_rewind_failure;
    bool known_store = view->store.same_cluster || view->accept_restored; /* S6 */
    if (!view->pg.wal_missing || strcmp(view->pg.upstream, view->store.leader) != 0 ||
        view->pg.archive || !allowed || !known_store || !leader_is_ready(view) ||
        sync_names(&view->store.sync, view->self))
        return false;
    text_into(decision->peer, view->store.leader);
    return say(decision, ACT_RECLONE,
               "%s does not have the WAL any more that comes next, and the configuration allows a "
               "clone",
               view->store.leader);
}

bool history_mend(const struct view *view, struct decision *decision, enum history_verdict verdict)
{
    const char *fact = verdict == HISTORY_DIVERGED ? "has diverged from" : "may have diverged from";
    if (view->store.recording)
        return say(decision, ACT_WAIT,
                   "our WAL %s that of %s; first the newest /sync is written to "
                   "this volume (S6)",
                   fact, view->store.leader);
    /* S6: keys of yesterday may name a leader that lacks what only we have. */
    if (!view->store.same_cluster && !view->accept_restored)
        return say(decision, ACT_WAIT,
                   "our WAL %s that of %s, but etcd is not the one that this "
                   "volume knows: a person must accept it",
                   fact, view->store.leader);
    text_into(decision->peer, view->store.leader);
    if (!leader_is_ready(view))
        return say(decision, ACT_WAIT, "our WAL %s that of %s, which is not ready yet", fact,
                   view->store.leader);
    if (sync_names(&view->store.sync, view->self))
        return say(decision, ACT_WAIT, "our WAL %s that of %s, but /sync still names this member",
                   fact, view->store.leader);
    bool rewinds = view->policy.use_rewind && !view->memory.rewind_failed;
    if (rewinds && rewind_is_too_early(view))
        return say(decision, ACT_WAIT, "our WAL %s that of %s: pg_rewind waits for its checkpoint",
                   fact, view->store.leader);
    if (rewinds)
        return say(decision, ACT_REWIND, "our WAL %s that of %s", fact, view->store.leader);
    if (view->memory.rewind_failed && view->policy.clone_on_rewind_failure)
        return say(decision, ACT_RECLONE, "pg_rewind failed and the configuration allows a clone");
    if (!view->policy.use_rewind && view->policy.clone_on_divergence)
        return say(decision, ACT_RECLONE,
                   "our WAL %s that of %s and the configuration allows a "
                   "clone",
                   fact, view->store.leader);
    return stay_out(view, decision, verdict,
                    view->memory.rewind_failed ? "pg_rewind failed" : "use_pg_rewind is off");
}
