#include "tests/sim/formation.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sidecar/etcd_member/member_core.h"
#include "tests/sim/sim.h"

enum {
    NODES = 3,
    FOUNDER = 0,
    LISTED_MAX = NODES + 1,
    IDS_MAX = 256,
    TICK_MS = 500,
    HEALED_S = 200,
    END_S = 300
};

struct volume {
    bool data; /* of etcd */
    uint64_t cluster, member;
    int64_t log;
    bool mark, pgdata;
    uint64_t mark_cluster, mark_member;
};

struct place {
    bool up, cut; /* the node; its network */
    bool running; /* its etcd */
    int retired;
    const char *rule; /* the last one */
    uint64_t tried;
    struct volume disk;
    struct member_word word; /* as it says it */
    bool spoke;              /* before it has looked at its disk it says nothing that counts */
    int64_t silent_ms;       /* while its etcd knows no leader */
    struct {
        struct member_word word;
        int64_t at_ms; /* 0: never */
    } known[NODES];
    int64_t heard_ms[IDS_MAX]; /* when its etcd last heard that member; 0: never */
    int64_t up_ms, joined_ms;  /* when it comes back; when its network does */
};

struct listed {
    uint64_t id;
    int node;
    bool started, learner;
};

struct formation {
    struct rng rng;
    int64_t now_ms;
    struct place place[NODES];
    uint64_t cluster, ids;
    int64_t log;
    int leader; /* of raft, in this turn */
    int n;
    struct listed list[LISTED_MAX];
    struct member_view view; /* of whose turn it is */
};

/* ---- who reaches whom ----------------------------------------------------------------- */

static bool reach(const struct formation *f, int a, int b)
{
    if (!f->place[a].up || !f->place[b].up)
        return false;
    return a == b || (!f->place[a].cut && !f->place[b].cut);
}

static const struct listed *listed_id(const struct formation *f, uint64_t id)
{
    for (int i = 0; i < f->n; i++)
        if (f->list[i].id == id)
            return &f->list[i];
    return NULL;
}

static bool serves(const struct formation *f, int node)
{
    const struct place *place = &f->place[node];
    return place->up && place->running && place->disk.data && place->disk.cluster == f->cluster;
}

static bool votes(const struct formation *f, int node)
{
    const struct listed *listed = listed_id(f, f->place[node].disk.member);
    return serves(f, node) && listed != NULL && !listed->learner;
}

static int voters(const struct formation *f)
{
    int n = 0;
    for (int i = 0; i < f->n; i++)
        n += !f->list[i].learner;
    return n;
}

/* A voter with all that was committed and a majority around it; NODE_NONE: none. */
static int raft_leader(const struct formation *f)
{
    for (int leader = 0; leader < NODES; leader++) {
        int with = 0;
        for (int other = 0; other < NODES; other++)
            with += votes(f, other) && reach(f, leader, other);
        if (votes(f, leader) && f->place[leader].disk.log == f->log && 2 * with > voters(f))
            return leader;
    }
    return NODE_NONE;
}

/* A member of this node's, or another that it reaches, stands with the leader. */
static bool asks_a_quorum(const struct formation *f, int node, int leader)
{
    return leader != NODE_NONE && reach(f, node, leader);
}

/* ---- what each one says and sees ------------------------------------------------------- */

static void speak(struct formation *f, int node, int leader)
{
    struct place *place = &f->place[node];
    const struct volume *disk = &place->disk;
    struct member_word *word = &place->word;
    bool wanted = word->wants;
    place->spoke = true;
    *word = (struct member_word){
        .data = disk->data,
        .pgdata = disk->pgdata,
        .mark = disk->mark,
        .cluster_id = disk->mark ? disk->mark_cluster : 0,
        .member_id = disk->mark ? disk->mark_member : 0,
        .wants = wanted,
        .running = place->running,
        .voter = votes(f, node) && asks_a_quorum(f, node, leader),
        .witness = node == NODES - 1,
    };
    for (int i = 0; i < f->n && serves(f, node); i++) {
        const struct listed *listed = &f->list[i];
        if (listed->node == node)
            continue;
        int64_t *heard_ms = &place->heard_ms[listed->id % IDS_MAX];
        if (*heard_ms == 0)
            *heard_ms = f->now_ms; /* never heard: from now on it counts */
        word->heard[word->n_heard++] = (struct member_heard){ listed->id, f->now_ms - *heard_ms };
    }
}

static void hear(struct formation *f)
{
    for (int a = 0; a < NODES; a++)
        for (int b = 0; b < NODES; b++) {
            if (a == b || !reach(f, a, b) || !f->place[b].spoke)
                continue;
            f->place[a].known[b].word = f->place[b].word;
            f->place[a].known[b].at_ms = f->now_ms;
            if (!serves(f, a) || !serves(f, b))
                continue;
            f->place[a].heard_ms[f->place[b].disk.member % IDS_MAX] = f->now_ms;
        }
}

static void replicate(struct formation *f, int leader)
{
    for (int node = 0; leader != NODE_NONE && node < NODES; node++) {
        struct place *place = &f->place[node];
        if (!serves(f, node) || !reach(f, leader, node))
            continue;
        if (listed_id(f, place->disk.member) != NULL) {
            place->disk.log = f->log;
            continue;
        }
        place->running = false; /* it learns that it was removed, and ends */
        place->retired++;
    }
}

/* By the leader of this turn: nobody else's sidecar changes anything. */
static void commit(struct formation *f)
{
    f->log++;
    replicate(f, f->leader);
}

static void name_peer(struct member_peer *peer, int node)
{
    (void)snprintf(peer->name, sizeof(peer->name), "m%d", node);
    (void)snprintf(peer->peer_url, sizeof(peer->peer_url), "http://m%d:2380", node);
    (void)snprintf(peer->api_url, sizeof(peer->api_url), "http://m%d:8008", node);
}

static void fill_list(const struct formation *f, struct member_view *view)
{
    view->list.fresh = true;
    view->list.cluster_id = f->cluster;
    view->list.n = (size_t)f->n;
    for (int i = 0; i < f->n; i++) {
        struct member_listed *listed = &view->list.members[i];
        struct member_peer peer = { .name = "" };
        name_peer(&peer, f->list[i].node);
        listed->id = f->list[i].id;
        listed->learner = f->list[i].learner;
        (void)text_copy(listed->name, LIMIT_NAME, f->list[i].started ? peer.name : "");
        (void)text_copy(listed->peer_url, LIMIT_URL, peer.peer_url);
    }
}

static void fill_self(const struct formation *f, int node, int leader, struct member_view *view)
{
    const struct place *place = &f->place[node];
    const struct listed *listed = listed_id(f, place->disk.member);
    view->guard = (struct member_guard){ .connected = true,
                                         .program_known = true,
                                         .alive = place->running,
                                         .running = place->running,
                                         .retired = place->retired };
    if (!place->running)
        return;
    bool led = leader != NODE_NONE && reach(f, node, leader) && serves(f, node);
    view->me = (struct member_self){ .answers = true,
                                     .id = place->disk.member,
                                     .cluster_id = place->disk.cluster,
                                     .leader = led ? f->place[leader].disk.member : 0,
                                     .learner = listed != NULL && listed->learner };
    view->me.leaderless_since = (struct mono){ f->now_ms - place->silent_ms };
}

static void fill(const struct formation *f, int node, int leader, struct member_view *view)
{
    const struct place *place = &f->place[node];
    memset(view, 0, sizeof(*view));
    view->now = (struct mono){ f->now_ms };
    view->n = NODES;
    view->self = (size_t)node;
    view->disk_known = true;
    view->marks_complete = place->disk.mark;
    view->max_learners = 2;
    view->tried_id = place->tried;
    view->quota_bytes = 256 << 20;
    for (int other = 0; other < NODES; other++) {
        struct member_peer *peer = &view->peers[other];
        name_peer(peer, other);
        peer->word = other == node ? place->word : place->known[other].word;
        peer->answered =
            other == node || (place->known[other].at_ms != 0 &&
                              f->now_ms - place->known[other].at_ms < MEMBER_ANSWER_MS);
    }
    fill_self(f, node, leader, view);
    if (asks_a_quorum(f, node, leader))
        fill_list(f, view);
}

/* ---- mutations ------------------------------------------------------------------------ */

static void mutate(const struct sim *sim, struct member_view *view)
{
    for (size_t at = 0; at < view->n; at++) {
        struct member_peer *peer = &view->peers[at];
        if (at == view->self || peer->answered)
            continue;
        if (sim->mutation == MUT_FOUND_ALONE) {
            peer->answered = true;
            memset(&peer->word, 0, sizeof(peer->word));
        }
        if (sim->mutation == MUT_REPLACE_ABSENT) {
            peer->answered = true;
            memset(&peer->word, 0, sizeof(peer->word));
            peer->word.wants = true;
        }
    }
    for (size_t at = 0; sim->mutation == MUT_REPLACE_ABSENT && at < view->n; at++)
        for (size_t k = 0; k < view->peers[at].word.n_heard; k++)
            view->peers[at].word.heard[k].ago_ms += MEMBER_UNHEARD_MS;
}

/* ---- what is done ----------------------------------------------------------------------- */

/* E1: "used once in a cluster's life": nothing of a cluster is left anywhere. */
static void found(struct sim *sim, struct formation *f, int node)
{
    for (int other = 0; other < NODES; other++) {
        const struct volume *disk = &f->place[other].disk;
        if (disk->data || disk->mark || disk->pgdata)
            check_broken(sim, "E1", "m%d founds a cluster while m%d has %s", node, other,
                         disk->data   ? "data of one"
                         : disk->mark ? "the mark of one"
                                      : "PGDATA");
    }
    sim->counters.formation.founded++;
    struct place *place = &f->place[node];
    f->cluster++;
    f->log = 1;
    f->n = 1;
    f->list[0] = (struct listed){ .id = ++f->ids, .node = node, .started = true };
    place->disk.data = true;
    place->disk.cluster = f->cluster;
    place->disk.member = f->ids;
    place->disk.log = 1;
    place->running = true;
}

static void join(struct sim *sim, struct formation *f, int node)
{
    struct place *place = &f->place[node];
    for (int i = 0; i < f->n; i++) {
        struct listed *listed = &f->list[i];
        if (listed->node != node || listed->started)
            continue;
        sim->counters.formation.joined++;
        listed->started = true;
        place->tried = listed->id;
        place->disk.data = true;
        place->disk.cluster = f->cluster;
        place->disk.member = listed->id;
        place->disk.log = 0;
        place->running = true;
        return;
    }
}

static void start(struct formation *f, int node)
{
    struct place *place = &f->place[node];
    bool removed = place->disk.cluster == f->cluster && listed_id(f, place->disk.member) == NULL &&
                   raft_leader(f) != NODE_NONE && reach(f, node, raft_leader(f));
    place->running = !removed;
    place->retired = removed ? place->retired + 1 : 0;
}

/* E3: "never on mere absence": what is removed has no data any more, and a quorum remains. */
static void check_removed(struct sim *sim, const struct formation *f, const struct listed *old)
{
    const struct volume *disk = &f->place[old->node].disk;
    /* A learner that has begun since it asked begins once more: nobody loses a vote. */
    if (old->started && !old->learner && disk->data && disk->member == old->id)
        check_broken(sim, "E3", "m%d is removed although its data are there", old->node);
    int have = 0;
    for (int i = 0; i < f->n; i++) {
        const struct listed *listed = &f->list[i];
        const struct volume *its = &f->place[listed->node].disk;
        have += listed != old && !listed->learner && its->data && its->member == listed->id;
    }
    int left = voters(f) - !old->learner;
    if (2 * have <= left)
        check_broken(sim, "E3", "the removal of m%d leaves %d voters, %d of them with data",
                     old->node, left, have);
}

static void remove_member(struct sim *sim, struct formation *f, uint64_t id)
{
    for (int i = 0; i < f->n; i++) {
        if (f->list[i].id != id)
            continue;
        check_removed(sim, f, &f->list[i]);
        sim->counters.formation.removed++;
        f->list[i] = f->list[--f->n];
        commit(f);
        return;
    }
}

/* etcd itself refuses one that has not caught up. */
static void promote(struct sim *sim, struct formation *f, uint64_t id)
{
    for (int i = 0; i < f->n; i++) {
        struct listed *listed = &f->list[i];
        if (listed->id != id || !listed->learner || !serves(f, listed->node) ||
            f->place[listed->node].disk.log != f->log)
            continue;
        sim->counters.formation.promoted++;
        listed->learner = false;
        commit(f);
    }
}

static void add(struct sim *sim, struct formation *f, int node)
{
    if (f->n == LISTED_MAX)
        return;
    sim->counters.formation.added++;
    f->list[f->n++] = (struct listed){ .id = ++f->ids, .node = node, .learner = true };
    commit(f);
}

static void remember(struct formation *f, int node, bool whole)
{
    struct volume *disk = &f->place[node].disk;
    disk->mark = true;
    disk->mark_cluster = whole ? disk->cluster : f->cluster;
    disk->mark_member = whole ? disk->member : 0;
}

static void act(struct sim *sim, struct formation *f, int node,
                const struct member_decision *decision)
{
    struct place *place = &f->place[node];
    switch (decision->action) {
    case MEMBER_FOUND:
        found(sim, f, node);
        break;
    case MEMBER_JOIN:
        join(sim, f, node);
        break;
    case MEMBER_START:
        start(f, node);
        break;
    case MEMBER_SET_ASIDE:
        sim->counters.formation.set_aside++;
        place->disk.data = false;
        place->retired = 0;
        break;
    case MEMBER_REMEMBER:
        remember(f, node, true);
        break;
    case MEMBER_ENTER:
        remember(f, node, false);
        break;
    case MEMBER_ADD:
        add(sim, f, (int)decision->peer);
        break;
    case MEMBER_REMOVE:
        remove_member(sim, f, decision->target);
        break;
    case MEMBER_PROMOTE:
        promote(sim, f, decision->target);
        break;
    case MEMBER_END:
        place->running = false;
        break;
    case MEMBER_WAIT:
    case MEMBER_FORCE: /* only by a person's order */
    case MEMBER_FORGET:
    case MEMBER_UPDATE:
    case MEMBER_MOVE:
    case MEMBER_COMPACT:
    case MEMBER_DEFRAG:
    case MEMBER_DISARM:
    case MEMBER_ACTION_MAX:
        break;
    }
}

static void turn(struct sim *sim, struct formation *f, int node)
{
    struct place *place = &f->place[node];
    struct member_view *view = &f->view;
    int leader = f->leader = raft_leader(f);
    bool led = asks_a_quorum(f, node, leader) && serves(f, node);
    place->silent_ms = led ? 0 : place->silent_ms + TICK_MS;
    speak(f, node, leader);
    fill(f, node, leader, view);
    place->word.wants = member_wants(view);
    view->peers[node].word.wants = place->word.wants;
    mutate(sim, view);
    struct member_decision decision = member_decide(view);
    bool news = place->rule != decision.rule || decision.action != MEMBER_WAIT;
    place->rule = decision.rule;
    if (news)
        say_line(sim, -1, "m%d at %lld s: %s -> %s: %s", node, (long long)f->now_ms / 1000,
                 decision.rule, member_action_name(decision.action), decision.reason);
    act(sim, f, node, &decision);
}

/* ---- faults ------------------------------------------------------------------------------ */

/* All three are voters with everything. */
static bool whole(const struct formation *f)
{
    int n = 0;
    for (int node = 0; node < NODES; node++)
        n += votes(f, node) && f->place[node].disk.log == f->log && f->place[node].disk.mark;
    return n == NODES && f->n == NODES;
}

static int64_t for_a_while(struct formation *f)
{
    int64_t ends = f->now_ms + rng_tail(&f->rng, 1000, 45000);
    return ends < HEALED_S * 1000 ? ends : HEALED_S * 1000;
}

/* The volume of one node: etcd's data, or all of it. Only one is ever lost at a time. */
static void lose(struct sim *sim, struct formation *f, int node)
{
    if (!whole(f))
        return;
    struct volume *disk = &f->place[node].disk;
    sim->counters.formation.lost++;
    say_line(sim, -1, "m%d FAULT: its volume is lost", node);
    if (node == NODES - 1 || rng_chance(&f->rng, 500))
        *disk = (struct volume){ .data = false };
    else
        disk->data = false;
}

static void stop_node(struct formation *f, int node)
{
    struct place *place = &f->place[node];
    if (!place->up)
        return;
    place->up = place->running = place->spoke = false;
    place->up_ms = for_a_while(f);
    memset(place->known, 0, sizeof(place->known));
    memset(place->heard_ms, 0, sizeof(place->heard_ms));
    memset(&place->word, 0, sizeof(place->word));
}

static void maybe_fault(struct sim *sim, struct formation *f)
{
    if (f->now_ms > (HEALED_S - 1) * 1000 || !rng_chance(&f->rng, 18))
        return;
    int node = (int)rng_range(&f->rng, 0, NODES - 1);
    struct place *place = &f->place[node];
    switch (rng_range(&f->rng, 0, 3)) {
    case 0:
        say_line(sim, -1, "m%d FAULT: cut off", node);
        place->cut = true;
        place->joined_ms = for_a_while(f);
        break;
    case 1:
        place->running = false; /* etcd alone */
        break;
    case 2:
        say_line(sim, -1, "m%d FAULT: down", node);
        stop_node(f, node);
        break;
    case 3:
        lose(sim, f, node);
        stop_node(f, node);
        break;
    }
}

static void come_back(struct formation *f)
{
    for (int node = 0; node < NODES; node++) {
        struct place *place = &f->place[node];
        if (!place->up && f->now_ms >= place->up_ms)
            place->up = true;
        if (place->cut && f->now_ms >= place->joined_ms)
            place->cut = false;
    }
}

/* ---- a life ------------------------------------------------------------------------------ */

static void step(struct sim *sim, struct formation *f)
{
    come_back(f);
    maybe_fault(sim, f);
    hear(f);
    replicate(f, raft_leader(f));
    int first = (int)rng_range(&f->rng, 0, NODES - 1);
    for (int i = 0; i < NODES && sim->broken == NULL; i++) {
        int node = (first + i) % NODES;
        if (f->place[node].up && !rng_chance(&f->rng, 100))
            turn(sim, f, node);
    }
    f->leader = raft_leader(f);
    if (f->leader == NODE_NONE)
        return;
    if (rng_chance(&f->rng, 300))
        commit(f);
    for (int node = 0; node < NODES - 1; node++) /* the cluster's own data follow */
        if (votes(f, node) && rng_chance(&f->rng, 100))
            f->place[node].disk.pgdata = true;
}

void formation_run(struct sim *sim)
{
    struct formation f = { .rng = rng_seed(sim->seed ^ 0x9e3779b9u) };
    sim->counters.formation.runs++;
    for (int node = 0; node < NODES; node++) /* in any order, one perhaps late */
        f.place[node].up_ms = rng_tail(&f.rng, TICK_MS, 30000);
    f.now_ms = TICK_MS;
    while (sim->broken == NULL && f.now_ms < (int64_t)END_S * 1000) {
        step(sim, &f);
        f.now_ms += TICK_MS;
    }
    if (sim->broken == NULL && !whole(&f))
        check_broken(sim, "liveness", "no three voters again after healing");
}
