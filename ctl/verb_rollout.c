/* rollout: how far the controller's roll is, as it says in the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "ctl/ctl.h"
#include "etcd/kv.h"

enum { ASK_MS = 5000, LOOK_MS = 1000 };

struct rollout {
    struct ctl *ctl;
    enum err_code code;
    char error[ERR_TEXT_MAX];
    json_t *value; /* NULL: nobody has written it */
};

static void on_key(void *arg, const struct etcd_range_result *result)
{
    struct rollout *rollout = arg;
    rollout->code = result->outcome.code;
    text_copy(rollout->error, sizeof(rollout->error), result->outcome.error);
    if (rollout->code == ERR_OK && result->n_kvs > 0)
        (void)json_parse(result->kvs[0].value, result->kvs[0].value_len, "pgvigil/rollout",
                         &rollout->value, NULL);
    loop_stop(rollout->ctl->loop);
}

static void read_rollout(struct rollout *rollout)
{
    struct ctl *ctl = rollout->ctl;
    auto_text struct text key = text_new(LIMIT_PATH);
    text_addf(&key, "%spgvigil/rollout", ctl->prefix);
    json_decref(rollout->value);
    rollout->value = NULL;
    const struct etcd_range range = { .key = text_str(&key) };
    const struct etcd_how how = { .timeout_ms = ASK_MS, .endpoint = ETCD_ANY };
    struct etcd_call *call = etcd_range(ctl->etcd, &range, how, on_key, rollout);
    loop_run(ctl->loop);
    etcd_call_free(call);
}

/* Done, and with the chart's revision where one was named: the word may still be of the last one. */
static bool is_done(const struct rollout *rollout)
{
    const struct ctl_args *args = &rollout->ctl->args;
    const char *revision = ctl_text(rollout->value, "revision");
    return json_is_true(json_object_get(rollout->value, "done")) &&
           (args->n_names == 0 || strcmp(args->names[0], revision) == 0);
}

/* Prints what is new since the last look. */
static void tell(const struct rollout *rollout, char *said, size_t size)
{
    auto_text struct text line = text_new(size - 1);
    if (rollout->code != ERR_OK)
        text_addf(&line, "cannot ask etcd: %s", rollout->error);
    else if (rollout->value == NULL)
        text_add(&line, "no controller has told of a roll yet");
    else
        text_addf(&line, "revision %s: %s", ctl_text(rollout->value, "revision"),
                  ctl_text(rollout->value, "text"));
    if (strcmp(said, text_str(&line)) != 0)
        puts(text_str(&line));
    (void)fflush(stdout);
    (void)text_copy(said, size, text_str(&line));
}

static int follow(struct rollout *rollout)
{
    const struct ctl_args *args = &rollout->ctl->args;
    int64_t timeout_ms = args->timeout != NULL ? strtoll(args->timeout, NULL, 10) * 1000 : 0;
    struct mono end = timeout_ms > 0 ? mono_add(clock_mono(), timeout_ms) : MONO_NEVER;
    char said[LIMIT_LOG_LINE] = "";
    for (;;) {
        read_rollout(rollout);
        tell(rollout, said, sizeof(said));
        if (is_done(rollout))
            return CTL_OK;
        if (!args->wait)
            return CTL_FAILED;
        if (!mono_before(clock_mono(), end))
            return ctl_fail("the roll is not done after %s s", args->timeout);
        ctl_pause(rollout->ctl, LOOK_MS);
    }
}

int ctl_verb_rollout(struct ctl *ctl)
{
    if (ctl->etcd == NULL)
        return ctl_fail("rollout reads etcd: give --endpoints or a configuration file");
    struct rollout rollout = { .ctl = ctl };
    int status = follow(&rollout);
    json_decref(rollout.value);
    return status;
}
