/* Who is there, and with what: sidecars and etcd members, each asked by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "cluster/lsn.h"
#include "cluster/sync_state_json.h"
#include "ctl/recover.h"
#include "etcd/kv.h"
#include "etcd/members.h"
#include "settings/config.h"

enum { ASK_TIMEOUT_MS = 3000 };

/* ---- the sidecar ------------------------------------------------------------------------------ */

/* New reference; NULL when nothing sensible came. */
static json_t *ask(struct ctl *ctl, const char *api_url, const char *path)
{
    auto_free char *url = ctl_url(api_url, path);
    struct ctl_answer answer = ctl_rest(ctl, "GET", url, NULL, ASK_TIMEOUT_MS);
    json_t *body = NULL;
    if (answer.code == ERR_OK && answer.status == 200)
        (void)json_parse(answer.body, strlen(answer.body), url, &body, NULL);
    ctl_answer_done(&answer);
    return body;
}

static int64_t position_of(const json_t *xlog)
{
    static const char *const keys[] = { "location", "received_location", "replayed_location" };
    int64_t most = 0;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        int64_t position = json_integer_value(json_object_get(xlog, keys[i]));
        most = position > most ? position : most;
    }
    return most;
}

static void ask_sidecar(struct ctl *ctl, struct recover_word *word)
{
    auto_json json_t *formation = ask(ctl, word->api_url, "/pgvigil/etcd");
    word->rest = formation != NULL;
    if (!word->rest)
        return;
    word->data = json_is_true(json_object_get(formation, "data"));
    word->pgdata = json_is_true(json_object_get(formation, "pgdata"));
    word->witness = json_is_true(json_object_get(formation, "witness"));
    text_copy(word->says, sizeof(word->says), ctl_text(formation, "says"));
    auto_json json_t *status = ask(ctl, word->api_url, "/patroni");
    text_copy(word->state, sizeof(word->state), ctl_text(status, "state"));
    text_copy(word->role, sizeof(word->role), ctl_text(status, "role"));
    word->timeline = json_integer_value(json_object_get(status, "timeline"));
    word->position = position_of(json_object_get(status, "xlog"));
}

/* ---- its etcd --------------------------------------------------------------------------------- */

struct asked {
    struct ctl *ctl;
    struct recover_word *word;
    struct sync_state *sync;
    bool answered;
};

static void on_status(void *arg, const struct etcd_status_result *result)
{
    struct asked *asked = arg;
    struct recover_word *word = asked->word;
    word->etcd = result->outcome.code == ERR_OK;
    if (word->etcd) {
        word->learner = result->learner;
        word->leader = result->leader;
        word->raft_index = result->raft_index;
        word->revision = result->outcome.header.revision;
    }
    loop_stop(asked->ctl->loop);
}

static void ask_etcd(struct ctl *ctl, struct recover_word *word)
{
    struct asked asked = { .ctl = ctl, .word = word };
    int endpoint = etcd_endpoint_find(ctl->etcd, word->client_url);
    if (endpoint == ETCD_ANY)
        return;
    struct etcd_how how = { .timeout_ms = ASK_TIMEOUT_MS, .endpoint = endpoint };
    struct etcd_call *call = etcd_status(ctl->etcd, how, on_status, &asked);
    loop_run(ctl->loop);
    etcd_call_free(call);
}

static void on_sync(void *arg, const struct etcd_range_result *result)
{
    struct asked *asked = arg;
    if (result->outcome.code == ERR_OK && result->n_kvs == 1)
        asked->answered =
            sync_state_from_json(result->kvs[0].value, result->kvs[0].value_len,
                                 result->kvs[0].mod_revision, asked->sync, NULL) == ERR_OK;
    loop_stop(asked->ctl->loop);
}

/* A member without quorum still answers what it has itself. */
static bool read_sync(struct ctl *ctl, const struct recover_word *word, struct sync_state *ret_sync)
{
    struct asked asked = { .ctl = ctl, .sync = ret_sync };
    auto_text struct text key = text_new(LIMIT_PATH);
    text_addf(&key, "%ssync", ctl->prefix);
    struct etcd_range range = { .key = text_str(&key), .serializable = true };
    struct etcd_how how = { .timeout_ms = ASK_TIMEOUT_MS,
                            .endpoint = etcd_endpoint_find(ctl->etcd, word->client_url) };
    struct etcd_call *call = etcd_range(ctl->etcd, &range, how, on_sync, &asked);
    loop_run(ctl->loop);
    etcd_call_free(call);
    return asked.answered;
}

/* ---- all of it -------------------------------------------------------------------------------- */

void recover_survey(struct ctl *ctl, struct recover_survey *ret_survey)
{
    const struct config_managed_etcd *managed = &ctl->config->managed;
    struct recover_survey survey = { .n = managed->n };
    for (size_t i = 0; i < managed->n; i++) {
        struct recover_word *word = &survey.words[i];
        word->name = managed->members[i].name;
        word->api_url = managed->members[i].api_url;
        word->client_url = managed->members[i].client_url;
        printf("Asking %s …\n", word->name);
        fflush(stdout);
        ask_sidecar(ctl, word);
        ask_etcd(ctl, word);
    }
    const struct recover_word *best = recover_best(&survey);
    if (best != NULL && best->etcd)
        survey.sync_known = read_sync(ctl, best, &survey.sync);
    *ret_survey = survey;
}

const struct recover_word *recover_has_quorum(const struct recover_survey *survey)
{
    for (size_t i = 0; i < survey->n; i++)
        if (survey->words[i].etcd && survey->words[i].leader != 0)
            return &survey->words[i];
    return NULL;
}

/* Is `a` the better founder? Numbered like a ranking: 1. has etcd data; 2. the higher raft index;
 * 3. has Postgres data; 4. the higher timeline; 5. the further position. */
static bool is_better(const struct recover_word *a, const struct recover_word *b)
{
    if (a->data != b->data)
        return a->data;
    if (a->raft_index != b->raft_index)
        return a->raft_index > b->raft_index;
    if (a->pgdata != b->pgdata)
        return a->pgdata;
    if (a->timeline != b->timeline)
        return a->timeline > b->timeline;
    return a->position > b->position;
}

const struct recover_word *recover_best(const struct recover_survey *survey)
{
    const struct recover_word *best = NULL;
    for (size_t i = 0; i < survey->n; i++) {
        const struct recover_word *word = &survey->words[i];
        if (!word->rest || (!word->data && !word->pgdata))
            continue;
        if (best == NULL || is_better(word, best))
            best = word;
    }
    return best;
}

const struct recover_word *recover_find(const struct recover_survey *survey, const char *name)
{
    for (size_t i = 0; i < survey->n; i++)
        if (strcmp(survey->words[i].name, name) == 0)
            return &survey->words[i];
    return NULL;
}

static json_t *row_of(const struct recover_word *word)
{
    char lsn[LSN_TEXT_MAX] = "";
    if (word->position != 0)
        lsn_format((lsn_t)word->position, lsn);
    const char *etcd = !word->etcd ? "no answer" : word->leader != 0 ? "has a leader" : "no leader";
    json_t *row = json_array();
    json_array_append_new(row, json_string(word->name));
    json_array_append_new(row, json_string(word->rest ? "answers" : "no answer"));
    json_array_append_new(row, json_string(!word->rest ? "" : word->data ? "yes" : "no"));
    json_array_append_new(row, json_string(etcd));
    json_array_append_new(row, word->etcd ? json_integer((json_int_t)word->raft_index)
                                          : json_string(""));
    json_array_append_new(row, json_string(word->witness ? "witness" : word->state));
    json_array_append_new(row,
                          word->timeline != 0 ? json_integer(word->timeline) : json_string(""));
    json_array_append_new(row, json_string(lsn));
    return row;
}

void recover_print(const struct recover_survey *survey)
{
    struct ctl_table table = { .n_columns = 8,
                               .columns = { "Member", "Sidecar", "etcd data", "etcd", "Raft index",
                                            "Postgres", "TL", "WAL" },
                               .right = { [4] = true, [6] = true, [7] = true },
                               .rows = json_array() };
    for (size_t i = 0; i < survey->n; i++)
        json_array_append_new(table.rows, row_of(&survey->words[i]));
    ctl_table_print(&table, CTL_PRETTY, false);
    json_decref(table.rows);
    for (size_t i = 0; i < survey->n; i++)
        if (survey->words[i].says[0] != '\0')
            printf(" %s says: %s\n", survey->words[i].name, survey->words[i].says);
}
