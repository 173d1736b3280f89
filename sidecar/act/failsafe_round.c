#include "sidecar/act/failsafe_round.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/http.h"
#include "sidecar/core/failsafe.h"
#include "json/json.h"

struct question {
    struct failsafe_round *round;
    struct http_call *call; /* NULL: answered, or not under way */
};

struct failsafe_round {
    struct failsafe_round_spec spec;
    char *username;
    char *password;
    struct source *timer;
    struct failsafe_list list;

    bool under_way;
    struct mono sent; /* before the first request of the round left */
    int64_t ttl_ms;   /* that the members were told */
    size_t open;      /* answers to come */
    struct question questions[LIMIT_MEMBERS];
    struct mono accepted; /* `sent` of the last round that all accepted; 0: none */
    struct mono retry_at; /* after one that was in vain; 0: none */
    bool active;          /* said in the log */
    char complaint[LIMIT_REASON];
};

static void on_timer(void *arg);

struct failsafe_round *failsafe_round_new(const struct failsafe_round_spec *spec)
{
    struct failsafe_round *round = mem_struct(struct failsafe_round);
    round->spec = *spec;
    round->username = mem_strdup(spec->username);
    round->password = mem_strdup(spec->password);
    round->timer = loop_timer(spec->loop, on_timer, round);
    for (size_t at = 0; at < LIMIT_MEMBERS; at++)
        round->questions[at].round = round;
    return round;
}

/* What is under way is forgotten: an answer that comes later counts for nobody here. */
static void end_round(struct failsafe_round *round)
{
    round->under_way = false;
    round->open = 0;
    for (size_t at = 0; at < LIMIT_MEMBERS; at++)
        round->questions[at].call = http_call_free(round->questions[at].call);
}

struct failsafe_round *failsafe_round_free(struct failsafe_round *round)
{
    if (round == NULL)
        return NULL;
    end_round(round);
    source_free(round->timer);
    free(round->username);
    free(round->password);
    free(round);
    return NULL;
}

static const struct lease *lease_of(const struct failsafe_round *round)
{
    return lease_keeper_lease(round->spec.keeper);
}

static struct mono due_at(const struct failsafe_round *round)
{
    const struct lease *lease = lease_of(round);
    struct mono due = failsafe_due(lease);
    if (due.ms == MONO_NEVER.ms)
        return due;
    if (lease_by_promise(lease))
        due = mono_min(due, mono_add(round->accepted, round->ttl_ms / 4));
    return mono_max(due, round->retry_at);
}

static void note_end(struct failsafe_round *round)
{
    const struct lease *lease = lease_of(round);
    if (!round->active || (lease_by_promise(lease) && lease_holds(lease, clock_mono())))
        return;
    round->active = false;
    round->complaint[0] = '\0';
    log_warn("failsafe: %s -> the lease counts again",
             lease_holds(lease, clock_mono()) ? "etcd answers" : "it does not hold any more");
}

static void arm(struct failsafe_round *round)
{
    note_end(round);
    struct mono due = round->list.usable ? due_at(round) : MONO_NEVER;
    if (round->under_way)
        return;
    if (due.ms == MONO_NEVER.ms)
        source_disarm(round->timer);
    else
        source_arm_at(round->timer, due);
}

static void in_vain(struct failsafe_round *round, const struct question *question, const char *why)
{
    const char *name = round->list.members[question - round->questions].name;
    char text[LIMIT_REASON];
    (void)snprintf(text, sizeof(text), "%s does not acknowledge us: %.*s", name,
                   (int)(sizeof(text) / 2), why);
    if (strcmp(text, round->complaint) != 0)
        log_warn("failsafe: %s -> asking again until the lease ends", text);
    (void)text_copy(round->complaint, sizeof(round->complaint), text);
    end_round(round);
    round->retry_at = mono_add(clock_mono(), round->ttl_ms / 16);
    arm(round);
}

static void accepted_by_all(struct failsafe_round *round)
{
    end_round(round);
    round->accepted = round->sent;
    round->retry_at = (struct mono){ 0 };
    round->complaint[0] = '\0';
    lease_keeper_promised(round->spec.keeper, round->sent, round->ttl_ms);
    if (!round->active && lease_by_promise(lease_of(round))) {
        round->active = true;
        log_warn("failsafe: etcd does not answer, and every member of /failsafe acknowledges us "
                 "(%d) -> going on as primary",
                 (int)round->list.n);
    }
    arm(round);
}

static void on_answer(void *arg, const struct http_result *result)
{
    struct question *question = arg;
    struct failsafe_round *round = question->round;
    char why[LIMIT_REASON] = "";
    static const char yes[] = "Accepted";
    if (result->code != ERR_OK)
        (void)snprintf(why, sizeof(why), "%s", result->error);
    else if (result->status != 200 || result->body_len < sizeof(yes) - 1 ||
             memcmp(result->body, yes, sizeof(yes) - 1) != 0)
        (void)snprintf(why, sizeof(why), "status %d: %.*s", (int)result->status,
                       result->body_len < 80 ? (int)result->body_len : 80, result->body);
    question->call = http_call_free(question->call); /* the body is gone with it */
    if (why[0] != '\0') {
        in_vain(round, question, why);
        return;
    }
    if (--round->open == 0)
        accepted_by_all(round);
}

/* "http://a:8008/patroni" -> "http://a:8008/failsafe". */
static bool url_of(const char *api_url, char ret_url[LIMIT_URL])
{
    const char *host = strstr(api_url, "://");
    if (host == NULL)
        return false;
    size_t len = strcspn(host + 3, "/") + (size_t)(host + 3 - api_url);
    int wrote = snprintf(ret_url, LIMIT_URL, "%.*s/failsafe", (int)len, api_url);
    return wrote > 0 && wrote < LIMIT_URL;
}

/* Patroni's body, and what ours adds: which key, how long is counted, and whom we take the other for (an
 * address may have changed hands). */
static void write_body(const struct failsafe_round *round, const char *member, struct text *to)
{
    const struct failsafe_list *list = &round->list;
    auto_json json_t *body =
        json_pack("{s:s,s:s,s:s,s:{},s:{s:I,s:I,s:s}}", "name", list->name, "conn_url",
                  list->conn_url, "api_url", list->api_url, "slots", "pgvigil", "create_revision",
                  (json_int_t)lease_of(round)->create_revision, "ttl_ms", (json_int_t)round->ttl_ms,
                  "member", member);
    json_write(to, body);
}

static void ask(struct failsafe_round *round, size_t at)
{
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    char url[LIMIT_URL] = "";
    auto_text struct text body = text_new(LIMIT_FILE);
    write_body(round, round->list.members[at].name, &body);
    (void)url_of(round->list.members[at].api_url, url); /* "": its call fails */
    struct http_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = text_str(&body),
        .body_len = body.len,
        .timeout_ms = round->ttl_ms / 4,
        .tls = round->spec.tls,
        .user = round->username,
        .password = round->password,
    };
    struct question *question = &round->questions[at];
    question->call = http_start(round->spec.http, &request, on_answer, question);
}

static void begin(struct failsafe_round *round)
{
    round->under_way = true;
    round->sent = clock_mono();
    round->open = round->list.n;
    for (size_t at = 0; at < round->list.n; at++)
        ask(round, at);
    if (round->open == 0)
        accepted_by_all(round);
}

static void on_timer(void *arg)
{
    struct failsafe_round *round = arg;
    struct mono now = clock_mono();
    int64_t ttl_ms = lease_keeper_promise_ms(round->spec.keeper);
    if (round->under_way || !round->list.usable || ttl_ms <= 0)
        return;
    if (mono_before(now, due_at(round)) || !lease_holds(lease_of(round), now)) {
        arm(round);
        return;
    }
    round->ttl_ms = ttl_ms;
    begin(round);
}

static bool same_list(const struct failsafe_list *a, const struct failsafe_list *b)
{
    if (a->usable != b->usable || a->n != b->n || strcmp(a->name, b->name) != 0 ||
        strcmp(a->conn_url, b->conn_url) != 0 || strcmp(a->api_url, b->api_url) != 0)
        return false;
    for (size_t at = 0; at < a->n; at++)
        if (strcmp(a->members[at].name, b->members[at].name) != 0 ||
            strcmp(a->members[at].api_url, b->members[at].api_url) != 0)
            return false;
    return true;
}

void failsafe_round_set(struct failsafe_round *round, const struct failsafe_list *list)
{
    if (!same_list(list, &round->list)) {
        end_round(round);
        round->list = *list;
    }
    arm(round);
}
