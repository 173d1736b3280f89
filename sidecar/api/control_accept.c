#include "sidecar/api/control_accept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "json/json.h"

enum { ACCEPT_PEER_TIMEOUT_MS = 3000 };

struct question {
    struct control_accept *accept;
    struct http_call *call; /* NULL: answered, or not under way */
};

/* One at a time. */
struct control_accept {
    struct control_accept_spec spec;
    struct source *judge; /* all have answered, or are silent */
    struct api_pending *pending;
    struct known_members list;
    struct accept_answer answers[LIMIT_MEMBERS];
    struct question questions[LIMIT_MEMBERS];
    size_t open;
};

static void end(struct control_accept *accept, int status, const char *text)
{
    struct api_pending *pending = take(accept->pending);
    api_pending_reply(pending, status, text);
}

/* The names that a person has to answer for, one after the other. */
static void list_dead(const struct control_accept *accept, struct text *to)
{
    for (size_t i = 0; i < accept->list.n; i++) {
        const struct accept_answer *answer = &accept->answers[i];
        if (answer->known_dead && answer->leading.by == LEADING_UNSAID)
            text_addf(to, "%s%s", to->len > 0 ? ", " : "", answer->name);
    }
}

static void on_judge(void *arg)
{
    struct control_accept *accept = arg;
    const struct api_state *state = accept->spec.state(accept->spec.state_arg);
    char why[ACCEPT_WHY];
    if (accept->pending == NULL)
        return;
    if (state->view == NULL || !state->view->store.loaded || !state->view->store.reachable) {
        end(accept, 503, "etcd does not answer here: there is nothing to accept yet");
        return;
    }
    if (!accept_judge(state->view, accept->answers, accept->list.n, why)) {
        log_warn("accept: %s -> refused", why);
        end(accept, 409, why);
        return;
    }
    auto_text struct text dead = text_new(LIMIT_LOG_LINE);
    list_dead(accept, &dead);
    log_warn("accept: a person accepts the etcd that is there, id and revision%s%s -> this node "
             "may lead again",
             dead.len > 0 ? "; down for good, it was said: " : "", text_str(&dead));
    end(accept, 200, "accepted");
    accept->spec.accepted(accept->spec.arg);
}

/* Errors: it is no answer of a sidecar that knows its node. */
static void read_answer(const struct http_result *result, struct accept_answer *answer)
{
    auto_json json_t *body = NULL;
    if (result->code != ERR_OK || result->status != 200 ||
        json_parse(result->body, result->body_len, "answer", &body, NULL) != ERR_OK)
        return;
    const char *name = json_string_value(json_object_get(json_object_get(body, "patroni"), "name"));
    const json_t *ours = json_object_get(body, "pgvigil");
    const char *by = json_string_value(json_object_get(ours, "leads_by"));
    if (name != NULL)
        (void)text_copy(answer->name, sizeof(answer->name), name);
    if (by != NULL)
        answer->leading.by = leading_from_name(by);
    answer->leading.create_revision = json_integer_value(json_object_get(ours, "leader_key"));
}

static void on_answer(void *arg, const struct http_result *result)
{
    struct question *question = arg;
    struct control_accept *accept = question->accept;
    struct accept_answer *answer = &accept->answers[question - accept->questions];
    read_answer(result, answer);
    log_debug("accept: %s leads: %s", answer->name, leading_name(answer->leading.by));
    question->call = http_call_free(question->call); /* the body is gone with it */
    if (--accept->open == 0)
        source_trigger(accept->judge);
}

static bool is_named(const json_t *names, const char *name)
{
    size_t at;
    const json_t *each;
    json_array_foreach (names, at, each) {
        if (json_is_string(each) && strcmp(json_string_value(each), name) == 0)
            return true;
    }
    return false;
}

static void ask(struct control_accept *accept, size_t at, const json_t *dead)
{
    const struct known_member *member = &accept->list.member[at];
    struct accept_answer *answer = &accept->answers[at];
    *answer = (struct accept_answer){ .known_dead = is_named(dead, member->name) };
    (void)text_copy(answer->name, sizeof(answer->name), member->name);
    struct http_request request = { .url = member->api_url,
                                    .timeout_ms = ACCEPT_PEER_TIMEOUT_MS,
                                    .tls = accept->spec.tls };
    struct question *question = &accept->questions[at];
    question->call = http_start(accept->spec.http, &request, on_answer, question);
}

static void run_accept(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct control_accept *accept = arg;
    if (accept->pending != NULL) {
        api_pending_reply(pending, 503, "accept already in progress");
        return;
    }
    accept->pending = pending;
    accept->list = (struct known_members){ .n = 0 };
    accept->spec.members(accept->spec.arg, &accept->list);
    accept->open = accept->list.n;
    for (size_t at = 0; at < accept->list.n; at++)
        ask(accept, at, json_object_get(order->body, "dead"));
    if (accept->open == 0)
        source_trigger(accept->judge);
}

struct control_accept *control_accept_new(const struct control_accept_spec *spec)
{
    struct control_accept *accept = mem_struct(struct control_accept);
    accept->spec = *spec;
    accept->judge = loop_defer(spec->loop, on_judge, accept);
    for (size_t at = 0; at < LIMIT_MEMBERS; at++)
        accept->questions[at].accept = accept;
    return accept;
}

struct control_accept *control_accept_free(struct control_accept *accept)
{
    if (accept == NULL)
        return NULL;
    for (size_t at = 0; at < LIMIT_MEMBERS; at++)
        accept->questions[at].call = http_call_free(accept->questions[at].call);
    source_free(accept->judge);
    free(accept);
    return NULL;
}

void control_accept_install(struct control_accept *accept, struct api_control *control)
{
    control->ops[API_ACCEPT] = (struct api_op){ .run = run_accept, .arg = accept };
}
