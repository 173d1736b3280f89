/* What the sidecar may ask of the guard: one handler per type of frame. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "sidecar/guard/guard.h"
#include "sidecar/guard/os.h"

struct answer {
    enum proto_code code;
    bool later; /* the reply comes when it is known whether the program started */
    char text[PROTO_TEXT_MAX];
};

typedef void request_fn(struct guard *guard, struct frame *request, struct answer *answer);

static void answer_set(struct answer *answer, enum proto_code code, const char *text)
{
    answer->code = code;
    (void)snprintf(answer->text, sizeof(answer->text), "%s", text);
}

static void answer_verdict(struct answer *answer, enum deadline_verdict verdict)
{
    if (verdict != DEADLINE_OK)
        answer_set(answer, PROTO_REFUSED, deadline_verdict_text(verdict));
}

static void request_deadline(struct guard *guard, struct frame *request, struct answer *answer)
{
    struct proto_deadline offer;
    if (!frame_take(request, &offer, sizeof(offer))) {
        answer_set(answer, PROTO_INVALID, "a deadline was cut short");
        return;
    }
    if (guard->options->no_deadline) {
        answer_set(answer, PROTO_INVALID, "this guard was started with --no-deadline");
        return;
    }
    struct guard_cookie cookie = { offer.lease_id, offer.create_revision };
    answer_verdict(
        answer, deadline_offer(&guard->deadline, os_now(), (struct mono){ offer.at_ms }, cookie));
}

static void request_lift(struct guard *guard, struct frame *request, struct answer *answer)
{
    struct proto_lift lift = { 0 };
    (void)frame_take(request, &lift, sizeof(lift)); /* a sidecar of before names no cookie */
    struct guard_cookie cookie = { lift.lease_id, lift.create_revision };
    bool before = guard->deadline.lifted;
    answer_verdict(answer, deadline_lift(&guard->deadline, os_now(), cookie));
    if (answer->code == PROTO_OK && guard->deadline.lifted && !before)
        say("the cluster is paused -> the child runs without a deadline");
}

/* Argument vector, environment and working directory, as they lie in the frame. */
struct request_program {
    char *argv[PROTO_ARGV_MAX + 1];
    char *env[PROTO_ENV_MAX + 1];
    char *cwd;
};

static bool request_program(struct frame *request, uint32_t argc, uint32_t envc,
                            struct request_program *ret_program, struct answer *answer)
{
    struct request_program *program = ret_program;
    bool fine = argc > 0 && frame_strings(request, argc, PROTO_ARGV_MAX, program->argv) &&
                frame_strings(request, envc, PROTO_ENV_MAX, program->env) &&
                frame_string(request, &program->cwd);
    if (!fine || program->argv[0][0] != '/')
        answer_set(answer, PROTO_INVALID,
                   fine ? "the program is not an absolute path" : "too many words, or cut short");
    return answer->code == PROTO_OK;
}

/* What start and run have in common: nothing new on a stop, and no lock, no start (G3). */
static bool request_may_start(struct guard *guard, struct answer *answer)
{
    answer->code =
        child_lock(&guard->child, guard->options->lock_path, answer->text, sizeof(answer->text));
    if (answer->code == PROTO_OK && guard->tool.active)
        answer_set(answer, PROTO_REFUSED, "a tool runs");
    return answer->code == PROTO_OK;
}

static void request_start(struct guard *guard, struct frame *request, struct answer *answer)
{
    struct proto_start start;
    struct request_program words;
    if (!frame_take(request, &start, sizeof(start))) {
        answer_set(answer, PROTO_INVALID, "a start was cut short");
        return;
    }
    if (!request_program(request, start.argc, start.envc, &words, answer))
        return;
    if (guard->stop.requested) {
        answer_set(answer, PROTO_REFUSED, "a stop was requested");
        return;
    }
    struct guard_cookie cookie = { start.lease_id, start.create_revision };
    if (guard->child.state != PROTO_CHILD_NONE) {
        answer_verdict(answer, DEADLINE_CHILD_RUNS);
        return;
    }
    if (!request_may_start(guard, answer))
        return;
    answer_verdict(answer, deadline_start(&guard->deadline, os_now(), start.primary != 0, cookie));
    if (answer->code != PROTO_OK)
        return;
    const struct child_program program = { words.argv, words.env, words.cwd };
    guard->fast_stop_sent = false;
    guard->stop.handed_over = false;
    guard->child.start_id = request->header.id;
    answer->code = child_start(&guard->child, &program, answer->text, sizeof(answer->text));
    answer->later = answer->code == PROTO_OK;
    if (!answer->later)
        deadline_child_gone(&guard->deadline);
    else
        say("the sidecar asked -> %s started%s, process %d", words.argv[0],
            start.primary != 0 ? " under its deadline" : "", guard->child.pid);
}

static void request_signal(struct guard *guard, struct frame *request, struct answer *answer)
{
    struct proto_signal order;
    if (!frame_take(request, &order, sizeof(order)) || order.signum < 1 || order.signum >= NSIG)
        answer_set(answer, PROTO_INVALID, "no such signal");
    else if (guard->child.state != PROTO_CHILD_RUNNING)
        answer_set(answer, PROTO_REFUSED, "no child runs");
    else if (kill(guard->child.pid, order.signum) != 0)
        answer_set(answer, PROTO_SYSTEM, "the signal could not be sent");
}

static void request_kill(struct guard *guard, struct frame *request, struct answer *answer)
{
    (void)request;
    (void)answer;
    if (guard->child.state != PROTO_CHILD_RUNNING)
        return;
    child_kill(&guard->child, os_now());
    say("the sidecar asked -> kill the child's tree");
}

static void request_handed_over(struct guard *guard, struct frame *request, struct answer *answer)
{
    (void)request;
    (void)answer;
    guard->stop.handed_over = true;
}

static void request_stop(struct guard *guard, struct frame *request, struct answer *answer)
{
    (void)request;
    (void)answer;
    guard_stop_requested(guard, "the sidecar asked");
}

static void request_run(struct guard *guard, struct frame *request, struct answer *answer)
{
    struct proto_run run;
    struct request_program words;
    if (!frame_take(request, &run, sizeof(run))) {
        answer_set(answer, PROTO_INVALID, "a run was cut short");
        return;
    }
    if (!request_program(request, run.argc, run.envc, &words, answer))
        return;
    struct mono deadline = { run.deadline_ms };
    if (guard->child.state == PROTO_CHILD_DYING) {
        answer_set(answer, PROTO_REFUSED, "the child's tree is being killed");
        return;
    }
    if (!mono_before(os_now(), deadline)) {
        answer_set(answer, PROTO_REFUSED, "the tool's deadline has passed");
        return;
    }
    if (!request_may_start(guard, answer))
        return;
    const struct child_program program = { words.argv, words.env, words.cwd };
    answer->code = tool_start(&guard->tool, &program, deadline, request->header.id, answer->text,
                              sizeof(answer->text));
    answer->later = answer->code == PROTO_OK;
}

/* G3: the sidecar is about to change something in PGDATA itself. */
static void request_lock(struct guard *guard, struct frame *request, struct answer *answer)
{
    (void)request;
    answer->code =
        child_lock(&guard->child, guard->options->lock_path, answer->text, sizeof(answer->text));
}

static void request_run_cancel(struct guard *guard, struct frame *request, struct answer *answer)
{
    (void)request;
    (void)answer;
    tool_kill(&guard->tool, PROTO_END_CANCELLED, os_now());
}

void guard_request(struct guard *guard, struct frame *request)
{
    static request_fn *const handlers[PROTO_TYPE_MAX] = {
        [PROTO_DEADLINE] = request_deadline,
        [PROTO_LIFT] = request_lift,
        [PROTO_START] = request_start,
        [PROTO_SIGNAL] = request_signal,
        [PROTO_KILL] = request_kill,
        [PROTO_HANDED_OVER] = request_handed_over,
        [PROTO_STOP] = request_stop,
        [PROTO_RUN] = request_run,
        [PROTO_RUN_CANCEL] = request_run_cancel,
        [PROTO_LOCK] = request_lock,
    };
    struct answer answer = { .code = PROTO_OK };
    unsigned type = request->header.type;
    request_fn *handler = type < PROTO_TYPE_MAX ? handlers[type] : NULL;
    if (handler != NULL)
        handler(guard, request, &answer);
    else
        answer_set(&answer, PROTO_INVALID, "no such request");
    if (answer.code != PROTO_OK && answer.text[0] != 0)
        say("request %u: %s -> refused", type, answer.text);
    if (!answer.later)
        server_reply(&guard->server, request->header.id, answer.code, answer.text);
}
