/* What is seen of etcd, of the other sidecars and of the disk. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "sidecar/etcd_member/membership_internal.h"

enum {
    ASK_MS = 1000,           /* how long one question may take */
    SOON_MS = 30,            /* what is known to have changed is asked for so soon */
    FAILING_MS = 2500,       /* so long without an answer etcd counts as silent */
    SIGN_MS = 500,           /* between questions while something points to trouble */
    STATUS_CALM_MS = 60000,  /* etcd_on_sign tells before */
    STATUS_FILLED_MS = 5000, /* … but not of a database that fills up */
    LIST_CALM_MS = 60000,
    PEER_CALM_MS = 2000,
    HEARD_MS = 1000,
    SIZES_MS = 60000, /* of the others' databases */
    SIZES_QUICK_MS = 2000,
    SCAN_MS = 2000,
    SCAN_PGDATA_MS = 5000,
    LIST_FRESH_MS = 3000, /* beyond the time until the next one is due */
};

/* Between questions; `pace_ms` is short while something is going on. */
static int64_t every(int64_t calm_ms, int64_t pace_ms)
{
    return pace_ms < MEMBERSHIP_CALM_MS ? pace_ms : calm_ms;
}

static bool is_due(struct mono last, struct mono now, int64_t every_ms)
{
    return last.ms == INT64_MAX || mono_diff(now, last) >= every_ms;
}

static struct mono now_of(const struct membership *membership)
{
    return loop_now(membership->spec.loop);
}

/* --- our own etcd --- */

/* Requests go to our own member when it begins to serve, and come back to it in a calm moment: what
 * ails it then shows at once (etcd_on_sign). */
static void prefer_ours(struct membership *membership, const struct etcd_status_result *result)
{
    const struct etcd_status_result *before = &membership->status.is;
    bool served =
        membership->status.answered.ms != INT64_MAX && before->leader != 0 && !before->learner;
    bool serves = result->leader != 0 && !result->learner;
    if (serves && (!served || membership->status.calm))
        etcd_endpoint_prefer(membership->spec.etcd, membership->endpoint);
}

static void note_status(struct membership *membership, const struct etcd_status_result *result)
{
    struct mono now = now_of(membership);
    const struct etcd_status_result *before = &membership->status.is;
    bool first = membership->status.answered.ms == INT64_MAX;
    if (before->leader != result->leader || before->learner != result->learner)
        membership->list.wanted = true;
    if (result->leader == 0 && (before->leader != 0 || first))
        membership->status.leaderless_since = now;
    prefer_ours(membership, result);
    membership->status.is = *result;
    membership->status.answered = now;
    membership->status.failing_since = MONO_NEVER;
    etcd_child_answers(membership->child);
}

static void forget_status(struct membership *membership)
{
    membership->status.answered = MONO_NEVER;
    membership->status.failing_since = MONO_NEVER;
    membership->status.silent_since = now_of(membership);
}

/* One late answer is no news on a machine under load. */
static void note_silence(struct membership *membership, const char *why)
{
    if (membership->status.answered.ms == INT64_MAX)
        return;
    if (membership->status.failing_since.ms == INT64_MAX) {
        log_debug("etcd-member: no status: %s", why);
        membership->status.failing_since = membership->status.asked;
    }
    if (is_due(membership->status.failing_since, now_of(membership), FAILING_MS))
        forget_status(membership);
}

static void on_status(void *arg, const struct etcd_status_result *result)
{
    struct membership *membership = arg;
    if (result->outcome.code == ERR_OK)
        note_status(membership, result);
    else
        note_silence(membership, result->outcome.error);
    membership->status.call = etcd_call_free(membership->status.call);
    membership_soon(membership);
}

static int64_t status_every_ms(const struct membership *membership, int64_t pace_ms)
{
    bool filled = membership->status.is.db_bytes > ETCD_QUOTA_BYTES / 2;
    int64_t every_ms = every(filled ? STATUS_FILLED_MS : STATUS_CALM_MS, pace_ms);
    if (membership->status.failing_since.ms != INT64_MAX)
        return SOON_MS;
    return membership->status.wanted && every_ms > SIGN_MS ? SIGN_MS : every_ms;
}

void observe_sign(void *arg)
{
    struct membership *membership = arg;
    membership->status.wanted = true;
    membership_soon(membership);
}

static void ask_status(struct membership *membership, int64_t pace_ms)
{
    struct mono now = now_of(membership);
    uint64_t changes = etcd_child_changes(membership->child);
    if (!membership->view.guard.running || changes != membership->status.changes) {
        membership->status.changes = changes;
        membership->status.call = etcd_call_free(membership->status.call);
        forget_status(membership);
    }
    int64_t every_ms = status_every_ms(membership, pace_ms);
    if (!membership->view.guard.running || membership->status.call != NULL ||
        !is_due(membership->status.asked, now, every_ms))
        return;
    membership->status.asked = now;
    membership->status.calm = !membership->status.wanted;
    membership->status.wanted = false;
    membership->status.call =
        etcd_status(membership->spec.etcd, (struct etcd_how){ ASK_MS, membership->endpoint },
                    on_status, membership);
}

static void on_list(void *arg, const struct etcd_members_result *result)
{
    struct membership *membership = arg;
    if (result->outcome.code == ERR_OK) {
        membership->list.known = true;
        membership->list.is_quorum = membership->list.linearizable;
        membership->list.sent = membership->list.asked;
        membership->list.cluster_id = result->outcome.header.cluster_id;
        membership->list.n = result->n_members;
        memcpy(membership->list.members, result->members, sizeof(result->members));
    } else {
        membership->list.is_quorum = false;
        log_debug("etcd-member: no list of members: %s", result->outcome.error);
    }
    membership->list.call = etcd_call_free(membership->list.call);
    membership_soon(membership);
}

/* Linearizable: a quorum says it. Ourselves where we can; who has no member yet asks any other. */
static void ask_list(struct membership *membership, int64_t pace_ms)
{
    struct mono now = now_of(membership);
    bool ours = membership->status.answered.ms != INT64_MAX && !membership->status.is.learner;
    int64_t every_ms = membership->list.wanted ? SOON_MS : every(LIST_CALM_MS, pace_ms);
    if (membership->list.call != NULL || !is_due(membership->list.asked, now, every_ms))
        return;
    membership->list.asked = now;
    membership->list.wanted = false;
    membership->list.linearizable = true;
    membership->list.call = etcd_member_list(
        membership->spec.etcd, true,
        (struct etcd_how){ ASK_MS, ours ? membership->endpoint : ETCD_ANY }, on_list, membership);
}

/* --- the other sidecars --- */

static void on_word(void *arg, const struct http_result *result)
{
    struct peer_watch *peer = arg;
    struct membership *membership = peer->owner;
    const char *name = membership->view.peers[peer->index].name;
    struct err err;
    struct member_word word;
    if (result->code != ERR_OK) {
        membership->status.wanted = true; /* its node may be gone, and the quorum with it */
        log_debug("etcd-member: %s's sidecar: %s", name, result->error);
    } else if (formation_parse(result->body, result->body_len, name, &word, &err) != ERR_OK) {
        log_debug("etcd-member: %s's sidecar: %s", name, err.text);
    } else {
        peer->heard = peer->asked;
        peer->word = word;
    }
    peer->call = http_call_free(peer->call); /* the body goes with it */
    membership_soon(membership);
}

static void ask_word(struct membership *membership, struct peer_watch *peer, int64_t pace_ms)
{
    struct mono now = now_of(membership);
    if (peer->call != NULL || !is_due(peer->asked, now, every(PEER_CALM_MS, pace_ms)))
        return;
    peer->asked = now;
    peer->call =
        http_start(membership->spec.http,
                   &(struct http_request){
                       .url = peer->url, .timeout_ms = ASK_MS, .tls = membership->spec.peer_tls },
                   on_word, peer);
}

static void on_size(void *arg, const struct etcd_status_result *result)
{
    struct peer_watch *peer = arg;
    if (result->outcome.code == ERR_OK) {
        peer->status_at = now_of(peer->owner);
        peer->id = result->outcome.header.member_id;
        peer->db_bytes = result->db_bytes;
        peer->db_used_bytes = result->db_used_bytes;
    } else {
        peer->status_at = MONO_NEVER;
    }
    peer->status = etcd_call_free(peer->status);
    membership_soon(peer->owner);
}

static bool leads(const struct membership *membership)
{
    return membership->status.answered.ms != INT64_MAX && membership->status.is.leader != 0 &&
           membership->status.is.leader == membership->status.is.outcome.header.member_id;
}

/* E5: only beside the raft leader, seldom unless space is short. */
static void ask_sizes(struct membership *membership, struct peer_watch *peer)
{
    struct mono now = now_of(membership);
    int64_t every_ms = membership->shown.no_space ? SIZES_QUICK_MS : SIZES_MS;
    if (!leads(membership) || peer->status != NULL || !is_due(peer->status_asked, now, every_ms))
        return;
    peer->status_asked = now;
    peer->status = etcd_status(membership->spec.etcd, (struct etcd_how){ ASK_MS, peer->endpoint },
                               on_size, peer);
}

bool observe_somebody_asks(const struct membership *membership)
{
    const struct member_view *view = &membership->view;
    for (size_t at = 0; at < view->n; at++) {
        if (at != view->self && view->peers[at].answered && view->peers[at].word.wants)
            return true;
    }
    return false;
}

/* --- whom our etcd hears (E3) --- */

static void note_sample(struct heard_watch *heard, const struct heard_sample *sample,
                        struct mono now)
{
    for (size_t at = 0; at < heard->n; at++) {
        if (heard->seen[at].sample.id != sample->id)
            continue;
        if (sample->connected || sample->bytes != heard->seen[at].sample.bytes)
            heard->seen[at].at = now;
        heard->seen[at].sample = *sample;
        return;
    }
    if (heard->n == LIMIT_MEMBERS)
        return;
    heard->seen[heard->n].sample = *sample;
    heard->seen[heard->n++].at = now;
}

/* A listed member of which the metrics say nothing was never heard: from now on it counts. */
static void note_unheard(struct membership *membership, struct mono now)
{
    for (size_t at = 0; at < membership->list.n; at++) {
        uint64_t id = membership->list.members[at].id;
        bool known = false;
        for (size_t seen = 0; seen < membership->heard.n; seen++)
            known = known || membership->heard.seen[seen].sample.id == id;
        if (!known)
            note_sample(&membership->heard, &(struct heard_sample){ .id = id }, now);
    }
}

/* Bytes are counted on, so that a sample that was missed hides nothing; until the next one nothing is
 * known of the time since. */
static void on_metrics(void *arg, const struct http_result *result)
{
    struct membership *membership = arg;
    struct heard_watch *heard = &membership->heard;
    struct heard_sample samples[LIMIT_MEMBERS];
    if (result->code == ERR_OK && result->status == 200) {
        size_t n = heard_parse(result->body, samples, LIMIT_MEMBERS);
        heard->sampled = heard->asked;
        for (size_t at = 0; at < n; at++)
            note_sample(heard, &samples[at], heard->asked);
        note_unheard(membership, heard->asked);
    }
    heard->call = http_call_free(heard->call);
    membership_soon(membership);
}

static void ask_heard(struct membership *membership)
{
    struct mono now = now_of(membership);
    struct heard_watch *heard = &membership->heard;
    if (!observe_somebody_asks(membership)) {
        heard->n = 0;
        return;
    }
    if (membership->status.answered.ms == INT64_MAX || heard->call != NULL ||
        !is_due(heard->asked, now, HEARD_MS))
        return;
    char url[LIMIT_URL + 16];
    const struct config_member *self = etcd_argv_self(&membership->spec.config->managed);
    (void)snprintf(url, sizeof(url), "%s/metrics", self->client_url);
    heard->asked = now;
    heard->call =
        http_start(membership->spec.http,
                   &(struct http_request){
                       .url = url, .timeout_ms = ASK_MS, .tls = membership->spec.etcd_tls },
                   on_metrics, membership);
}

/* --- the disk --- */

/* PGDATA comes after etcd's data: initdb and clones are made while etcd runs. Who asks later (E4) is to
 * be told of it. */
static bool pgdata_awaited(const struct membership *membership)
{
    const struct member_disk_facts *facts = member_disk_facts(membership->disk);
    return membership->spec.config->postgresql.data_dir != NULL && facts != NULL && !facts->pgdata;
}

static void ask_disk(struct membership *membership)
{
    struct mono now = now_of(membership);
    uint64_t changes = etcd_child_changes(membership->child);
    if (changes != membership->child_changes) {
        membership->child_changes = changes;
        membership->scan_wanted = true;
    }
    bool down = !membership->view.guard.alive;
    bool marks_due =
        !down && membership->status.answered.ms != INT64_MAX && !membership->view.marks_complete;
    bool due = membership->scan_wanted ||
               ((down || marks_due) && is_due(membership->scanned, now, SCAN_MS)) ||
               (pgdata_awaited(membership) && is_due(membership->scanned, now, SCAN_PGDATA_MS));
    if (!due || member_disk_busy(membership->disk))
        return;
    membership->scan_wanted = false;
    membership->scanned = now;
    member_disk_run(membership->disk, MEMBER_DISK_SCAN, NULL);
}

void observe_ask(struct membership *membership, int64_t pace_ms)
{
    ask_disk(membership);
    ask_status(membership, pace_ms);
    ask_list(membership, pace_ms);
    for (size_t at = 0; at < membership->view.n; at++) {
        if (at == membership->view.self)
            continue;
        ask_word(membership, &membership->peers[at], pace_ms);
        ask_sizes(membership, &membership->peers[at]);
    }
    ask_heard(membership);
}

/* --- the view --- */

static void fill_list(const struct membership *membership, struct member_view *view)
{
    struct member_list *list = &view->list;
    int64_t age_ms = mono_diff(view->now, membership->list.sent);
    *list = (struct member_list){ .cluster_id = membership->list.cluster_id };
    list->fresh = membership->list.known && membership->list.is_quorum &&
                  age_ms < every(LIST_CALM_MS, membership->pace_ms) + LIST_FRESH_MS;
    list->n = membership->list.known ? membership->list.n : 0;
    for (size_t at = 0; at < list->n; at++) {
        const struct etcd_member *from = &membership->list.members[at];
        struct member_listed *to = &list->members[at];
        to->id = from->id;
        to->learner = from->learner;
        (void)text_copy(to->name, sizeof(to->name), from->name);
        (void)text_copy(to->peer_url, sizeof(to->peer_url), from->peer_url);
    }
}

static bool may_shrink(const struct peer_watch *watch, struct mono now)
{
    return is_due(watch->shrunk_at, now, MEMBER_SHRINK_MS);
}

static void fill_sizes(const struct membership *membership, struct member_view *view)
{
    for (size_t at = 0; at < view->list.n; at++) {
        struct member_listed *listed = &view->list.members[at];
        if (listed->id == view->me.id && view->me.answers) {
            listed->may_shrink = may_shrink(&membership->peers[view->self], view->now);
            listed->healthy = true;
            listed->db_bytes = membership->status.is.db_bytes;
            listed->db_used_bytes = membership->status.is.db_used_bytes;
        }
        for (size_t peer = 0; peer < view->n; peer++) {
            const struct peer_watch *watch = &membership->peers[peer];
            if (peer == view->self || watch->id != listed->id || watch->status_at.ms == INT64_MAX)
                continue;
            listed->may_shrink = may_shrink(watch, view->now);
            listed->healthy = view->peers[peer].answered && view->peers[peer].word.voter;
            listed->db_bytes = watch->db_bytes;
            listed->db_used_bytes = watch->db_used_bytes;
        }
    }
}

static void fill_me(const struct membership *membership, struct member_view *view)
{
    const struct etcd_status_result *is = &membership->status.is;
    bool answers = view->guard.running && membership->status.answered.ms != INT64_MAX;
    view->me =
        (struct member_self){ .answers = answers, .silent_since = membership->status.silent_since };
    if (!answers)
        return;
    view->me.id = is->outcome.header.member_id;
    view->me.cluster_id = is->outcome.header.cluster_id;
    view->me.leader = is->leader;
    view->me.leaderless_since = membership->status.leaderless_since;
    view->me.learner = is->learner;
    view->me.no_space = strstr(is->errors, "NOSPACE") != NULL;
    view->me.revision = is->outcome.header.revision;
}

static void fill_our_word(const struct membership *membership, struct member_view *view)
{
    struct member_word *word = &view->peers[view->self].word;
    const struct member_disk_facts *facts = member_disk_facts(membership->disk);
    *word = (struct member_word){ .witness = membership->spec.config->postgresql.data_dir == NULL,
                                  .tries = membership->tries };
    view->peers[view->self].answered = true;
    view->disk_known = facts != NULL && !membership->scan_wanted &&
                       membership->child_changes == etcd_child_changes(membership->child);
    if (facts == NULL)
        return;
    (void)text_copy(view->disk_trouble, sizeof(view->disk_trouble), facts->trouble);
    view->marks_complete = facts->complete;
    word->data = facts->data;
    word->pgdata = facts->pgdata;
    word->mark = facts->mark;
    word->cluster_id = facts->is.cluster_id;
    word->member_id = facts->is.member_id;
    word->generation = facts->is.generation;
    word->running = view->me.answers;
    word->voter = view->me.answers && !view->me.learner && view->me.leader != 0;
    word->n_heard = membership->heard.n;
    for (size_t at = 0; at < membership->heard.n; at++)
        word->heard[at] = (struct member_heard){ membership->heard.seen[at].sample.id,
                                                 mono_diff(membership->heard.sampled,
                                                           membership->heard.seen[at].at) };
    word->wants = member_wants(view);
}

void observe_fill(struct membership *membership, struct member_view *view)
{
    view->now = now_of(membership);
    /* G2: its container stops; another one may come after it. */
    view->stopping = membership->stopping || etcd_child_stop_requested(membership->child);
    etcd_child_fill(membership->child, &view->guard);
    for (size_t at = 0; at < view->n; at++) {
        const struct peer_watch *watch = &membership->peers[at];
        view->peers[at].answered =
            watch->heard.ms != INT64_MAX && mono_diff(view->now, watch->heard) < MEMBER_ANSWER_MS;
        if (at != view->self)
            view->peers[at].word = watch->word;
    }
    fill_me(membership, view);
    fill_list(membership, view);
    fill_our_word(membership, view);
    fill_sizes(membership, view);
    view->max_learners = etcd_child_max_learners(membership->child);
    view->tried_id = membership->tried_id;
    view->order = membership->recovery.wanted ? MEMBER_ORDER_RECOVER : MEMBER_ORDER_NONE;
    view->generation_due = membership->recovery.forced;
    view->we_lead_postgres = membership->postgres_leader_here;
    view->quota_bytes = ETCD_QUOTA_BYTES;
    view->may_move = is_due(membership->moved_at, view->now, MEMBER_MOVE_MS);
    view->may_compact = is_due(membership->compacted_at, view->now, 30000);
    view->may_defrag = is_due(membership->defragged_at, view->now, 600000);
}

/* --- life --- */

static void init_peer(struct membership *membership, size_t at)
{
    const struct config_member *member = &membership->spec.config->managed.members[at];
    struct peer_watch *watch = &membership->peers[at];
    struct member_peer *peer = &membership->view.peers[at];
    *watch = (struct peer_watch){ .owner = membership,
                                  .index = at,
                                  .asked = MONO_NEVER,
                                  .heard = MONO_NEVER,
                                  .status_asked = MONO_NEVER,
                                  .status_at = MONO_NEVER,
                                  .shrunk_at = MONO_NEVER };
    watch->endpoint = etcd_endpoint_find(membership->spec.etcd, member->client_url);
    (void)snprintf(watch->url, sizeof(watch->url), "%s/pgvigil/etcd", member->api_url);
    (void)text_copy(peer->name, sizeof(peer->name), member->name);
    (void)text_copy(peer->peer_url, sizeof(peer->peer_url), member->peer_url);
    (void)text_copy(peer->api_url, sizeof(peer->api_url), member->api_url);
}

void observe_init(struct membership *membership)
{
    const struct config_managed_etcd *managed = &membership->spec.config->managed;
    const struct config_member *self = etcd_argv_self(managed);
    membership->view.n = managed->n;
    for (size_t at = 0; at < managed->n; at++) {
        init_peer(membership, at);
        if (&managed->members[at] == self)
            membership->view.self = at;
    }
    membership->endpoint = membership->peers[membership->view.self].endpoint;
    membership->status.asked = MONO_NEVER;
    forget_status(membership);
    membership->list.asked = MONO_NEVER;
    membership->scanned = now_of(membership);
    membership->heard.asked = MONO_NEVER;
}

void observe_done(struct membership *membership)
{
    etcd_call_free(membership->status.call);
    etcd_call_free(membership->list.call);
    http_call_free(membership->heard.call);
    for (size_t at = 0; at < LIMIT_MEMBERS; at++) {
        http_call_free(membership->peers[at].call);
        etcd_call_free(membership->peers[at].status);
    }
}
