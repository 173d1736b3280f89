#include "sidecar/observe/peers.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/http.h"
#include "sidecar/observe/peer_answer.h"

enum {
    PEER_TIMEOUT_MS = 1000, /* design part 4: bounded by 1 s */
    PEER_ANSWER_MS = 2000,  /* how long an answer counts, from its sending */
};

struct question {
    struct peers *peers;
    char name[LIMIT_NAME];
    struct http_call *call; /* NULL: none under way */
    struct mono sent;       /* of the last one; MONO_NEVER: never asked */
    struct mono vain;       /* when the last one ended without an answer */
    bool answered;
    struct mono answer_sent;
    struct peer_answer answer;
};

struct peers {
    struct peers_spec spec;
    char *username;
    char *password;
    struct source *changed;
    size_t n;
    struct question questions[LIMIT_MEMBERS];
};

struct peers *peers_new(const struct peers_spec *spec)
{
    struct peers *peers = mem_struct(struct peers);
    peers->spec = *spec;
    peers->username = mem_strdup(spec->username);
    peers->password = mem_strdup(spec->password);
    peers->changed = loop_defer(spec->loop, spec->changed, spec->arg);
    return peers;
}

struct peers *peers_free(struct peers *peers)
{
    if (peers == NULL)
        return NULL;
    for (size_t question = 0; question < peers->n; question++)
        http_call_free(peers->questions[question].call);
    source_free(peers->changed);
    free(peers->username);
    free(peers->password);
    free(peers);
    return NULL;
}

static const struct question *question_find(const struct peers *peers, const char *name)
{
    for (size_t question = 0; question < peers->n; question++) {
        if (strcmp(peers->questions[question].name, name) == 0)
            return &peers->questions[question];
    }
    return NULL;
}

/* The question to this member, made if need be: one that is not under way gives way then. */
static struct question *question_get(struct peers *peers, const char *name)
{
    struct question *free_one = NULL;
    for (size_t question = 0; question < peers->n; question++) {
        if (strcmp(peers->questions[question].name, name) == 0)
            return &peers->questions[question];
    }
    if (peers->n < LIMIT_MEMBERS)
        free_one = &peers->questions[peers->n++];
    for (size_t question = 0; free_one == NULL && question < peers->n; question++) {
        if (peers->questions[question].call == NULL)
            free_one = &peers->questions[question];
    }
    if (free_one == NULL)
        return NULL;
    *free_one = (struct question){ .peers = peers, .sent = MONO_NEVER };
    text_copy(free_one->name, sizeof(free_one->name), name);
    return free_one;
}

static void on_answer(void *arg, const struct http_result *result)
{
    struct question *question = arg;
    struct err err = { .code = result->code };
    struct peer_answer answer;
    if (result->code != ERR_OK)
        err_set(&err, result->code, "%s", result->error);
    else
        peer_answer_parse(result->body, result->body_len, &answer, &err);
    if (err.code == ERR_OK) {
        question->answered = true;
        question->answer_sent = question->sent;
        question->answer = answer;
    } else {
        question->vain = clock_mono();
        log_debug("peer %s: no answer: %s", question->name, err.text);
    }
    question->call = http_call_free(question->call); /* the body is gone with it */
    source_trigger(question->peers->changed);
}

static void ask(struct peers *peers, const struct member *member, int64_t fresh_ms)
{
    struct mono now = clock_mono();
    struct question *question = question_get(peers, member->name);
    if (question == NULL || question->call != NULL)
        return;
    if (question->sent.ms != INT64_MAX && mono_diff(now, question->sent) < fresh_ms)
        return;
    struct http_request request = {
        .url = member->api_url,
        .timeout_ms = PEER_TIMEOUT_MS,
        .tls = peers->spec.tls,
        .user = peers->username,
        .password = peers->password,
    };
    question->sent = now;
    question->call = http_start(peers->spec.http, &request, on_answer, question);
}

void peers_ask(struct peers *peers, const struct store_view *view, int64_t fresh_ms)
{
    for (size_t peer = 0; peer < view->n_peers; peer++) {
        const struct member *member = &view->peers[peer].member;
        if (member->api_url[0] != '\0')
            ask(peers, member, fresh_ms);
    }
}

static void fill(const struct question *question, struct mono now, struct peer *peer)
{
    bool asked_lately =
        question->sent.ms != INT64_MAX && mono_diff(now, question->sent) < PEER_ANSWER_MS;
    /* A question that is still open has not been asked in vain yet, unless the one before it just was:
     * or two silent peers that are asked in turn would hold up a race for ever. */
    bool in_vain = question->vain.ms != 0 && mono_diff(now, question->vain) < PEER_ANSWER_MS;
    peer->asked = asked_lately && (question->call == NULL || question->answered || in_vain);
    peer->answered = question->answered && mono_diff(now, question->answer_sent) < PEER_ANSWER_MS;
    if (!peer->answered)
        return;
    peer->in_recovery = question->answer.in_recovery;
    peer->position = question->answer.position;
    if (peer->timeline.tli != question->answer.timeline) /* else the store tells its content */
        peer->timeline = (struct timeline){ .tli = question->answer.timeline };
}

void peers_fill(const struct peers *peers, struct mono now, struct store_view *view)
{
    for (size_t at = 0; at < view->n_peers; at++) {
        struct peer *peer = &view->peers[at];
        const struct question *question = question_find(peers, peer->member.name);
        if (question != NULL)
            fill(question, now, peer);
        if (peer->member.api_url[0] == '\0')
            peer->asked = true; /* there is no way to ask: nobody waits for it */
    }
}

bool peers_idle(const struct peers *peers)
{
    for (size_t question = 0; question < peers->n; question++) {
        if (peers->questions[question].call != NULL)
            return false;
    }
    return true;
}
