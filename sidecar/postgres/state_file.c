#include "sidecar/postgres/state_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/postgres/files.h"
#include "json/json.h"

/* One request. What the thread pool works on; it outlives the state_file when that is freed. */
struct state_job {
    struct state_file *file;
    struct state_job *next;
    state_file_done_fn *done;
    void *arg;
    char path[LIMIT_PATH];
    char directory[LIMIT_PATH];
    bool write;
    struct store_memory memory;
    enum err_code code;
    struct err err;
};

struct state_file {
    struct loop *loop;
    char *directory;
    struct source *work;
    struct state_job *first; /* the one under way, then those that wait */
};

/* ---- in the pool ---- */

static void parse_members(const json_t *object, struct known_members *members)
{
    void *iter = json_object_iter((json_t *)(uintptr_t)object);
    for (; iter != NULL; iter = json_object_iter_next((json_t *)(uintptr_t)object, iter)) {
        const char *url = json_string_value(json_object_iter_value(iter));
        known_members_add(members, json_object_iter_key(iter), url != NULL ? url : "");
    }
}

static enum err_code parse(const struct text *text, struct store_memory *ret, struct err *err)
{
    json_t *json = NULL;
    const char *id = NULL;
    struct store_memory memory = { .exists = true };
    char *end = NULL;
    enum err_code code = json_parse(text_str(text), text->len, "state.json", &json, err);
    struct json_reader reader = { .object = json, .name = "state.json" };
    if (code == ERR_OK)
        code = json_get_string(reader, "etcd_cluster_id", &id, err);
    if (code == ERR_OK)
        code = json_get_int(reader, "sync_revision", &memory.sync_revision, err);
    if (code == ERR_OK) {
        memory.etcd_cluster_id = strtoull(id, &end, 10);
        if (*id == '\0' || *end != '\0')
            code = err_set(err, ERR_PROTOCOL, "state.json: etcd_cluster_id: not a number");
    }
    parse_members(json_object_get(json, "members"), &memory.members);
    json_decref(json);
    if (code == ERR_OK)
        *ret = memory;
    return code;
}

static enum err_code read_state(struct state_job *job, struct err *err)
{
    struct text text = text_new(LIMIT_FILE);
    enum err_code code = file_read(job->path, &text, err);
    if (code == ERR_NOT_FOUND) {
        job->memory = (struct store_memory){ .exists = false };
        code = ERR_OK;
    } else if (code == ERR_OK) {
        code = parse(&text, &job->memory, err);
    }
    text_done(&text);
    return code;
}

static void write_memory(struct text *to, const struct store_memory *memory)
{
    char id[24];
    (void)snprintf(id, sizeof(id), "%" PRIu64, memory->etcd_cluster_id);
    auto_json json_t *members = json_object();
    for (size_t i = 0; i < memory->members.n; i++)
        json_object_set_new(members, memory->members.member[i].name,
                            json_string(memory->members.member[i].api_url));
    auto_json json_t *json = json_pack("{s:s,s:I,s:O}", "etcd_cluster_id", id, "sync_revision",
                                       (json_int_t)memory->sync_revision, "members", members);
    json_write(to, json);
    text_add(to, "\n");
}

static enum err_code write_state(struct state_job *job, struct err *err)
{
    auto_text struct text content = text_new(LIMIT_FILE);
    write_memory(&content, &job->memory);
    job->memory.exists = true;
    enum err_code code = dir_make(job->directory, 0700, err);
    return code == ERR_OK ? file_replace(job->path, text_str(&content), content.len, 0600, err)
                          : code;
}

static void work(void *arg)
{
    struct state_job *job = arg;
    job->code = job->write ? write_state(job, &job->err) : read_state(job, &job->err);
}

/* ---- on the loop ---- */

struct state_file *state_file_new(struct loop *loop, const char *state_dir)
{
    struct state_file *file = mem_struct(struct state_file);
    file->loop = loop;
    file->directory = mem_strdup(state_dir);
    return file;
}

struct state_file *state_file_free(struct state_file *file)
{
    if (file == NULL)
        return NULL;
    /* The one under way frees itself when the pool lets go of it. */
    struct state_job *job = file->work != NULL ? file->first->next : file->first;
    while (job != NULL) {
        struct state_job *next = job->next;
        free(job);
        job = next;
    }
    source_free(file->work);
    free(file->directory);
    free(file);
    return NULL;
}

static void start_next(struct state_file *file);

static void worked(void *arg)
{
    struct state_job *job = arg;
    struct state_file *file = job->file;
    file->work = source_free(file->work);
    file->first = job->next;
    start_next(file);
    job->done(job->arg, job->code, &job->memory, &job->err); /* may free the file */
    free(job);
}

static void start_next(struct state_file *file)
{
    if (file->first != NULL)
        file->work = loop_work(file->loop, work, worked, free, file->first);
}

static void request(struct state_file *file, bool write, const struct store_memory *memory,
                    state_file_done_fn *done, void *arg)
{
    struct state_job *job = mem_struct(struct state_job);
    struct state_job **at = &file->first;
    job->file = file;
    job->write = write;
    job->done = done;
    job->arg = arg;
    if (memory != NULL)
        job->memory = *memory;
    text_copy(job->directory, sizeof(job->directory), file->directory);
    path_join(job->path, file->directory, "state.json");
    while (*at != NULL)
        at = &(*at)->next;
    *at = job;
    if (file->work == NULL)
        start_next(file);
}

void state_file_read(struct state_file *file, state_file_done_fn *done, void *arg)
{
    request(file, false, NULL, done, arg);
}

void state_file_write(struct state_file *file, const struct store_memory *memory,
                      state_file_done_fn *done, void *arg)
{
    request(file, true, memory, done, arg);
}
