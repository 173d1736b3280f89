/* The view, from what this node knows: its copy of the store, Postgres as last probed, the guard's
 * last word, what peers answered. */
#include <string.h>

#include "tests/sim/sim.h"

static void put_name(char to[LIMIT_NAME], int node)
{
    const char *name = node_name(node);
    memcpy(to, name, strlen(name) + 1);
}

static void put_set(struct names *to, node_set set)
{
    to->n = 0;
    for (int i = 0; i < DATA_MAX; i++)
        if (set >> i & 1)
            put_name(to->name[to->n++], i);
}

static void put_timeline(const struct sim *sim, struct timeline *to, int branch)
{
    if (branch < 0) {
        to->tli = 0;
        to->n = 0;
        return;
    }
    const struct timeline *from = &sim->branch[branch].timeline;
    to->tli = from->tli;
    to->n = from->n;
    memcpy(to->entries, from->entries, from->n * sizeof(from->entries[0]));
}

/* ---- the store ------------------------------------------------------------------------ */

static void note_vanished(struct sim *sim, int i, const struct kv *before, const struct kv *after)
{
    struct node *node = &sim->node[i];
    if (after->failover.exists && after->failover.mod != before->failover.mod) {
        node->failover_seen_us = sim->now_us;
        node->failover_after_loss = !after->leader.exists && !before->leader.exists;
    }
    if (after->holder.lease != before->holder.lease)
        node->holder_gone = false;
    if (after->renewed != 0 && after->renewed != node->renewed) {
        node->renewed = after->renewed;
        node->renewed_seen_us = sim->now_us;
    }
    if (after->sync.exists && after->sync.mod > node->highest_sync_mod)
        node->highest_sync_mod = after->sync.mod;
}

void observe_store(struct sim *sim, int i, int64_t rev)
{
    struct node *node = &sim->node[i];
    const struct kv *kv = store_at(sim, rev);
    if (kv == NULL || (node->loaded && rev <= node->cache.rev && !node->cache_void))
        return;
    if (rev > node->cache.rev || node->cache_void) {
        node->cache_void = false;
        node->cache_of = sim->store.cluster_id;
        node->heard_rev = rev;
        note_vanished(sim, i, &node->cache, kv);
        node->cache = *kv;
        node->cache_dirty = true;
    }
    node->word_us = sim->now_us;
    node_wake(sim, i);
}

static void on_resynced(struct sim *sim, int i, int64_t ctx, const struct reply *reply)
{
    struct node *node = &sim->node[i];
    (void)ctx;
    node->resyncing = false;
    if (reply->code != ERR_OK) {
        observe_resync(sim, i);
        return;
    }
    observe_heard(sim, i, node->resync_sent_us, reply->rev);
    observe_store(sim, i, reply->rev);
    node->loaded = true;
    node->resync = false;
    node->watch = reply->member;
    node_wake(sim, i);
}

/* Everything is read again, and the watch opened there. */
void observe_resync(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    if (node->resyncing)
        return;
    node->resyncing = true;
    node->resync_sent_us = sim->now_us;
    struct request request = { .kind = REQ_READ,
                               .node = i,
                               .member = (int)rng_range(&sim->rng, 0, ETCD_MEMBERS - 1),
                               .timeout_us = MS(sim->ttl_ms / 8),
                               .done = on_resynced };
    store_send(sim, &request);
}

/* A linearizable answer. One that knows more than the watch has brought shows that the watch lags. */
void observe_heard(struct sim *sim, int i, int64_t sent_us, int64_t rev)
{
    struct node *node = &sim->node[i];
    if (sent_us > node->heard_us)
        node->heard_us = sent_us;
    /* Another cluster id, also where nothing is written there; or more than the watch has told. */
    if (node->cache_void ||
        (node->heard_rev > node->cache.rev && sim->now_us - node->word_us > MS(300)))
        observe_resync(sim, i);
    if (rev > node->heard_rev)
        node->heard_rev = rev;
}

static void on_ttl(struct sim *sim, int i, int64_t ctx, const struct reply *reply)
{
    struct node *node = &sim->node[i];
    node->holder_asked_us = sim->now_us;
    node->holder_asking = false;
    /* A deposed leader may not have heard of the lease yet. */
    if (reply->code == ERR_OK && reply->ttl_s < 0 && node->cache.holder.lease == ctx &&
        reply->rev >= node->cache.rev)
        node->holder_gone = true;
    node_wake(sim, i);
}

static void ask_holder(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    const struct kv *kv = &node->cache;
    if (!kv->holder.exists || kv->holder.released || kv->leader.exists || node->holder_gone ||
        node->holder_asking || sim->now_us - node->holder_asked_us < MS(100))
        return;
    node->holder_asking = true;
    struct request request = { .kind = REQ_TTL,
                               .node = i,
                               .member = (int)rng_range(&sim->rng, 0, ETCD_MEMBERS - 1),
                               .lease = kv->holder.lease,
                               .timeout_us = MS(500),
                               .done = on_ttl,
                               .ctx = kv->holder.lease };
    store_send(sim, &request);
}

static void fill_peer(struct sim *sim, int i, int p, struct peer *peer)
{
    const struct node *node = &sim->node[i];
    const struct kv_member *member = &node->cache.member[p];
    put_name(peer->member.name, p);
    peer->has_key = member->exists;
    memcpy(peer->member.api_url, "x", sizeof("x"));
    peer->member.state = member->state;
    peer->member.role = member->role;
    peer->member.pause = member->pause;
    peer->member.streaming = member->streaming;
    peer->member.checkpoint_pending = member->checkpoint_pending;
    peer->member.xlog_location = member->location;
    peer->member.receive_lsn = member->received;
    peer->member.replay_lsn = member->replayed;
    peer->member.timeline = member->timeline;
    peer->member.tags.clonefrom = p == sim_clonefrom(sim);
    peer->member.tags.nosync = member->nosync;
    peer->member.tags.nofailover = member->nofailover;
    peer->data_id_revision = node->cache.data_id[p];
}

/* Peers whose key is gone and that nothing else names are not in the table. */
static bool peer_known(const struct kv *kv, int p)
{
    return kv->member[p].exists || kv->data_id[p] != 0;
}

static void fill_keys(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct store_view *store = &node->view.store;
    const struct kv *kv = &node->cache;
    store->leader_exists = kv->leader.exists;
    put_name(store->leader, kv->leader.exists ? kv->leader.owner : NODE_NONE);
    store->leader_lease = kv->leader.exists ? kv->leader.lease : 0;
    store->leader_create_revision = kv->leader.exists ? kv->leader.create : 0;
    store->leader_mod_revision = kv->leader.exists ? kv->leader.mod : 0;
    store->holder = (struct lease_holder){ .exists = kv->holder.exists,
                                           .lease_id = kv->holder.lease,
                                           .released = kv->holder.released,
                                           .lifted = kv->holder.lifted,
                                           .mod_revision = kv->holder.mod };
    put_name(store->holder.name, kv->holder.exists ? kv->holder.owner : NODE_NONE);
    store->self_paused = kv->member[i].exists && kv->member[i].pause;
    store->renewed_ttl_ms = kv->renewed != 0 ? sim->ttl_ms : 0;
    put_set(&store->failsafe, kv->failsafe.names);
    store->failsafe_mod_revision = kv->failsafe.mod;
    store->sync.exists = kv->sync.exists;
    put_name(store->sync.leader, kv->sync.exists ? kv->sync.leader : NODE_NONE);
    put_set(&store->sync.standbys, kv->sync.exists ? kv->sync.standbys : 0);
    store->sync.mod_revision = kv->sync.exists ? kv->sync.mod : 0;
    store->initialize_exists = kv->initialize.exists;
    store->initialize_create_revision = kv->initialize.create;
    store->initialize_lease = kv->initialize.lease;
    store->initialize = kv->initialize.exists ? kv->initialize.system_id : 0;
    store->config_exists = kv->config.exists;
    store->config_mod_revision = kv->config.exists ? kv->config.mod : 0;
    store->failover.exists = kv->failover.exists;
    store->failover.due = kv->failover.exists;
    put_name(store->failover.leader, kv->failover.exists ? kv->failover.leader : NODE_NONE);
    put_name(store->failover.candidate, kv->failover.exists ? kv->failover.candidate : NODE_NONE);
    store->failover.mod_revision = kv->failover.exists ? kv->failover.mod : 0;
    store->failover.after_leader_loss = node->failover_after_loss;
    store->optime = kv->optime;
    store->confirmed_exists = kv->confirmed.exists;
    put_timeline(sim, &store->confirmed, kv->confirmed.exists ? kv->confirmed.branch : -1);
    store->confirmed_lsn = kv->confirmed.lsn;
    store->n_peers = 0;
    for (int p = 0; p < sim->n; p++)
        if (p != i && peer_known(kv, p))
            fill_peer(sim, i, p, &store->peers[store->n_peers++]);
}

/* A lease can end before its time: what was renewed under it may last until ttl after its last trace. */
static bool holding_may_last(const struct sim *sim, const struct node *node)
{
    return sim->mutation != MUT_NO_TRACE && !mutation_bare_lease(sim) && node->renewed != 0 &&
           sim->now_us - node->renewed_seen_us < MS(sim->ttl_ms);
}

static void fill_store(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct store_view *store = &node->view.store;
    if (node->cache_dirty)
        fill_keys(sim, i);
    node->cache_dirty = false;
    store->reachable = node->heard_us >= 0 && sim->now_us - node->heard_us <= MS(sim->ttl_ms / 2);
    store->loaded = node->loaded && !node->resync;
    int64_t sync_seen = node->cache.sync.exists ? node->cache.sync.mod : node->cache.rev;
    store->same_cluster = sim->mutation == MUT_ANY_STORE || (sync_seen >= node->highest_sync_mod &&
                                                             node->store_known == node->cache_of);
    store->age_ms = (sim->now_us - node->word_us) / 1000;
    store->holder.lease_gone = node->holder_gone && !holding_may_last(sim, node);
    store->failover.age_ms = (sim->now_us - node->failover_seen_us) / 1000;
    for (size_t k = 0; k < store->n_peers; k++) {
        struct peer *peer = &store->peers[k];
        const struct poll *poll = &node->poll[node_index(peer->member.name)];
        bool fresh = poll->asked && sim->now_us - poll->sent_us <= SECONDS(2);
        peer->asked =
            fresh && (poll->answered || poll->in_vain || sim->now_us - poll->sent_us >= SECONDS(1));
        peer->answered = fresh && poll->answered;
        peer->in_recovery = poll->in_recovery;
        peer->position = poll->position;
        put_timeline(sim, &peer->timeline, peer->answered ? poll->branch : -1);
        peer->walsender_gone = node->walsender_gone[node_index(peer->member.name)];
    }
    store->failsafe_committed = failsafe_committed(node);
    ask_holder(sim, i);
}

/* ---- Postgres ------------------------------------------------------------------------- */

static void fill_senders(struct sim *sim, int i, struct pg_view *view)
{
    struct node *node = &sim->node[i];
    const struct pg *pg = &node->seen;
    int wanted =
        pg->ssn.kind == SSN_NAMES ? __builtin_popcount(pg->ssn.names) : pg->ssn.kind != SSN_EMPTY;
    node_set chosen = wanted > 0 && pg->state == PG_UP ? repl_chosen(sim, i, wanted) : 0;
    view->n_walsenders = 0;
    for (int s = 0; s < sim->n; s++) {
        const struct sender *sender = &pg->sender[s];
        bool seen = sender->connected && pg->state == PG_UP;
        if (seen || !pg_writable(pg))
            node->walsender_gone[s] = MONO_NEVER;
        else if (node->walsender_gone[s].ms == INT64_MAX)
            node->walsender_gone[s] = node->view.now;
        if (!seen)
            continue;
        struct walsender *row = &view->walsenders[view->n_walsenders++];
        put_name(row->name, s);
        row->streaming = sender->flush != LSN_NONE;
        row->only_one = true;
        row->holds_slot = true;
        row->sync_priority = repl_priority(sender, s);
        row->sync = chosen >> s & 1;
        row->flush = sender->flush;
    }
}

static void note_progress(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    lsn_t sum = 0;
    for (int s = 0; s < sim->n; s++)
        if (node->cache.sync.standbys >> s & 1)
            sum += node->seen.sender[s].flush;
    if (node->seen.n_waiters == 0 || sum != node->progress_lsn)
        node->progress_at = node->view.now;
    node->progress_lsn = sum;
}

/* Another guard's server: its socket is not ours, and pg_controldata is not run without the lock (G3). */
static void see_the_volume(struct pg *seen)
{
    if (seen->state == PG_DOWN)
        return;
    seen->state = PG_DOWN;
    seen->clean_stop = seen->was_primary = false;
    seen->branch = -1;
    seen->flush = seen->control = LSN_NONE;
    seen->system_id = 0;
    seen->connected = false;
    seen->n_waiters = 0;
    seen->torn = false;
}

static void fill_pg(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct pg_view *view = &node->view.pg;
    /* A probe takes its time: now and then the view is a little behind. */
    if (node->seen_us == 0 || sim->now_us - node->seen_us > MS(150) ||
        !rng_chance(&sim->rng, 150)) {
        node->seen = sim->pg[i];
        node->seen_us = sim->now_us;
        if (sim->guard[i].blind)
            see_the_volume(&node->seen);
    }
    const struct pg *pg = &node->seen;
    bool up = pg->state == PG_UP;
    view->state = pg->state;
    bool looked_at = node->tool == 0 && sim->now_us - pg->since_us > MS(25);
    view->dir = looked_at || pg->state != PG_DOWN ? pg->dir : DATA_DIR_UNKNOWN;
    view->system_id = pg->system_id;
    view->in_recovery = pg->in_recovery;
    put_timeline(sim, &view->timeline, pg->branch);
    view->position = up ? pg->flush : pg->control;
    view->clean_stop = pg->clean_stop;
    view->was_primary = pg->was_primary;
    view->rewinding = pg->torn;
    view->wal_read = node->wal_read && !up && node->wal_read_of_us == pg->since_us;
    view->wal_whole = view->wal_read ? node->wal_whole : LSN_NONE;
    view->start_failures = pg->start_failures;
    view->state_since = (struct mono){ node->view.now.ms - (sim->now_us - pg->since_us) / 1000 };
    put_name(view->upstream, pg->in_recovery ? pg->upstream : NODE_NONE);
    view->streaming = pg->connected;
    view->follow_stuck = pg->refused_us != 0 && sim->now_us - pg->refused_us > SECONDS(1);
    view->ssn = pg->ssn.kind;
    put_set(&view->ssn_names, pg->ssn.kind == SSN_NAMES ? pg->ssn.names : 0);
    view->ssn_disk = pg->ssn_disk.kind;
    put_set(&view->ssn_disk_names, pg->ssn_disk.kind == SSN_NAMES ? pg->ssn_disk.names : 0);
    view->waiters = (unsigned)pg->n_waiters;
    fill_senders(sim, i, view);
    note_progress(sim, i);
    view->progress_at = node->progress_at;
    view->checkpointed = pg->checkpointed;
    view->pending_reload = node->pending_reload;
    view->slots_differ = node->slots_known != sim->n && up && !pg->in_recovery;
}

/* ---- peers ---------------------------------------------------------------------------- */

static void on_peer_answer(struct sim *sim, const struct event *event)
{
    struct poll *poll = &sim->node[event->host].poll[event->arg[0]];
    const struct pg *pg = &sim->pg[event->arg[0]];
    if (poll->sent_us != event->arg[1] || sim->now_us - poll->sent_us > SECONDS(1))
        return;
    poll->answered = true;
    poll->in_recovery = (bool)event->arg[2];
    poll->position = (lsn_t)event->arg[3];
    poll->branch = pg->branch;
    node_wake(sim, event->host);
}

static void on_peer_asked(struct sim *sim, const struct event *event)
{
    int asker = (int)event->arg[0], self = event->host;
    const struct pg *pg = &sim->pg[self];
    if (!sim->node[self].alive || pg->state != PG_UP)
        return; /* an answer without a position is none */
    struct event answer = { .fn = on_peer_answer,
                            .host = asker,
                            .proc = PROC_SIDECAR,
                            .arg = { self, event->arg[1], pg->in_recovery, (int64_t)pg->flush } };
    net_send(sim, self, &answer);
}

void observe_poll(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    node->polled_us = sim->now_us;
    for (int p = 0; p < sim->n; p++) {
        bool asking = node->poll[p].asked && !node->poll[p].answered &&
                      sim->now_us - node->poll[p].sent_us < SECONDS(1);
        if (p == i || !peer_known(&node->cache, p) || asking)
            continue;
        bool in_vain = node->poll[p].asked && !node->poll[p].answered &&
                       sim->now_us - node->poll[p].sent_us < SECONDS(3);
        node->poll[p] = (struct poll){ .asked = true, .in_vain = in_vain, .sent_us = sim->now_us };
        struct event ask = {
            .fn = on_peer_asked, .host = p, .proc = PROC_SIDECAR, .arg = { i, sim->now_us }
        };
        net_send(sim, i, &ask);
    }
}

/* ---- all of it ------------------------------------------------------------------------ */

void observe_fill(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct view *view = &node->view;
    view->now = node_clock(sim, i);
    view->clear_head = sim->now_us - node->cycle_us <= SECONDS(3);
    view->policy.pause = node->cache.config.pause;
    view->policy.sync_on = sim->sync_on && !node->cache.config.sync_off;
    view->policy.sync_strict = sim->strict && view->policy.sync_on;
    view->accept_restored = node->accept_restored;
    view->memory = node->memory;
    view->lease = node->lease;
    view->guard = node->guard_seen;
    if (!sim->guard[i].alive) { /* its socket is closed, its tree is ours to look after */
        view->guard.dead = true;
        view->guard.connected = false;
        view->guard.tree_alive = pg_tree_alive(&sim->pg[i]);
    }
    view->orders = node->orders;
    view->tags.nofailover = sim->no_failover[i];
    fill_store(sim, i);
    fill_pg(sim, i);
}
