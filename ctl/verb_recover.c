/* recover-quorum (E4): the quorum of etcd is lost, and a person must say that it will not come back.
 * Checks first, explains what it found, asks, gives one member the order, waits until it has formed a
 * quorum. docs/recover-quorum.md tells the same story. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "ctl/recover.h"
#include "settings/config.h"

enum { ORDER_TIMEOUT_MS = 30000, FORM_WAIT_MS = 120000 };

static void end_pause(void *arg)
{
    loop_stop(arg);
}

/* Members whose sidecar answers, but whose etcd could come back by itself. */
static size_t count_able(const struct recover_survey *survey)
{
    size_t n = 0;
    for (size_t i = 0; i < survey->n; i++)
        n += survey->words[i].rest && survey->words[i].data ? 1 : 0;
    return n;
}

/* S1, as far as it can be said from here: does a survivor have every acknowledged commit? */
static void explain_data(const struct recover_survey *survey)
{
    const struct sync_state *sync = &survey->sync;
    if (!survey->sync_known) {
        puts(" /sync could not be read: whether a survivor has every commit is not known.");
        return;
    }
    if (!sync_in_force(sync)) {
        puts(" Synchronous mode was off: commits of the last moments may be lost.");
        return;
    }
    for (size_t i = 0; i < survey->n; i++) {
        const struct recover_word *word = &survey->words[i];
        if (word->rest && word->pgdata && sync_names(sync, word->name)) {
            printf(" %s is named in /sync as of then: it has every commit that was acknowledged\n"
                   " up to that state of etcd.\n",
                   word->name);
            return;
        }
    }
    puts(" Nobody who is named in /sync answers: acknowledged commits will be LOST unless the\n"
         " member that has them is started first.");
}

static void explain_loss(const struct recover_survey *survey, const struct recover_word *best)
{
    printf("\nThe quorum is lost. %s would found a new one%s; the others join it empty, as\n"
           "learners. What etcd committed and %s has not seen is gone.\n",
           best->name, best->data ? " out of its own data" : " with nothing in it", best->name);
    explain_data(survey);
    puts("\nDo this only if the other members will NOT come back with their old data: a second\n"
         "quorum beside the first would be two clusters. Stop or erase them first.\n");
}

static bool confirm(struct ctl *ctl, const struct recover_word *chosen)
{
    if (ctl->args.force)
        return true;
    auto_free char *answer =
        ctl_ask("Type the name of the member that is to found the new quorum", "");
    if (strcmp(answer, chosen->name) == 0)
        return true;
    ctl_fail("Aborted");
    return false;
}

static bool give_order(struct ctl *ctl, const struct recover_word *chosen)
{
    auto_free char *url = ctl_url(chosen->api_url, "/pgvigil/etcd/recover");
    auto_text struct text body = text_new(LIMIT_LOG_LINE);
    text_addf(&body, "{\"member\": \"%s\", \"force\": %s}", chosen->name,
              ctl->args.force ? "true" : "false");
    struct ctl_answer answer = ctl_rest(ctl, "POST", url, text_str(&body), ORDER_TIMEOUT_MS);
    bool good = answer.code == ERR_OK && (answer.status == 200 || answer.status == 202);
    if (good)
        printf("%s: %s\n", chosen->name, answer.body);
    else if (answer.code != ERR_OK)
        ctl_fail("%s: %s", url, answer.error);
    else
        ctl_fail("%s refused: %d, %s", chosen->name, answer.status, answer.body);
    ctl_answer_done(&answer);
    return good;
}

/* Says what the member says, whenever that changes. */
static bool has_formed(struct ctl *ctl, const char *url, struct text *last)
{
    struct ctl_answer answer = ctl_rest(ctl, "GET", url, NULL, 3000);
    auto_json json_t *body = NULL;
    bool voter = false;
    if (answer.code == ERR_OK &&
        json_parse(answer.body, strlen(answer.body), url, &body, NULL) == ERR_OK) {
        voter = json_is_true(json_object_get(body, "voter"));
        const char *says = ctl_text(body, "says");
        if (strcmp(says, text_str(last)) != 0)
            printf("  %s\n", says);
        text_clear(last);
        text_add(last, says);
    }
    ctl_answer_done(&answer);
    return voter;
}

static int wait_for_quorum(struct ctl *ctl, const struct recover_word *chosen)
{
    auto_free char *url = ctl_url(chosen->api_url, "/pgvigil/etcd");
    auto_text struct text last = text_new(LIMIT_LOG_LINE);
    struct mono until = mono_add(clock_mono(), FORM_WAIT_MS);
    auto_source struct source *timer = loop_timer(ctl->loop, end_pause, ctl->loop);
    do {
        source_arm_in(timer, 1000);
        loop_run(ctl->loop);
        if (has_formed(ctl, url, &last)) {
            printf("Success: %s has formed a quorum. Erased members join it when they start.\n",
                   chosen->name);
            return CTL_OK;
        }
    } while (mono_before(clock_mono(), until));
    return ctl_fail("%s has not formed a quorum within %d s: see its log and GET %s", chosen->name,
                    FORM_WAIT_MS / 1000, url);
}

/* NULL: nothing is to be done or can be done; `ret_status` is the end then. */
static const struct recover_word *choose(struct ctl *ctl, const struct recover_survey *survey,
                                         int *ret_status)
{
    const struct recover_word *leading = recover_has_quorum(survey);
    const char *wish = ctl->args.member;
    const struct recover_word *named = wish != NULL ? recover_find(survey, wish) : NULL;
    *ret_status = CTL_FAILED;
    if (wish != NULL && (named == NULL || !named->rest)) {
        ctl_fail(named == NULL ? "%s is no configured member" : "the sidecar of %s does not answer",
                 wish);
        return NULL;
    }
    if (leading != NULL && (named == NULL || (named->etcd && named->leader != 0))) {
        printf("\nThere is a quorum (%s sees a leader): nothing to recover.\n", leading->name);
        *ret_status = CTL_OK;
        return NULL;
    }
    if (leading != NULL) {
        printf("\nThere is a quorum without %s. Its own etcd data would be given up and it would\n"
               "join the others.\n\n",
               named->name);
        return named;
    }
    const struct recover_word *best = recover_best(survey);
    if (best == NULL) {
        ctl_fail("no member answers that has data of etcd or of Postgres: start the nodes first");
        return NULL;
    }
    if (count_able(survey) > survey->n / 2 && !ctl->args.force) {
        ctl_fail("%zu of %zu members answer and have their etcd data: that is a quorum, which "
                 "forms by itself once their etcd runs and reaches the others. Look at their logs "
                 "(--force: order a new one all the same)",
                 count_able(survey), survey->n);
        return NULL;
    }
    if (named != NULL && named != best)
        printf("\nNote: %s has newer data than %s.\n", best->name, named->name);
    explain_loss(survey, named != NULL ? named : best);
    return named != NULL ? named : best;
}

int ctl_verb_recover_quorum(struct ctl *ctl)
{
    struct recover_survey survey;
    int status;
    if (ctl->config == NULL || ctl->config->managed.name == NULL || ctl->etcd == NULL)
        return ctl_fail("recover-quorum needs -c with a node's configuration whose etcd is managed "
                        "(pgvigil.etcd)");
    recover_survey(ctl, &survey);
    recover_print(&survey);
    const struct recover_word *chosen = choose(ctl, &survey, &status);
    if (chosen == NULL)
        return status;
    if (!confirm(ctl, chosen) || !give_order(ctl, chosen))
        return CTL_FAILED;
    return wait_for_quorum(ctl, chosen);
}
