#include "sidecar/postgres/state_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static enum err_code write_state(struct state_job *job, struct err *err)
{
    char content[160];
    int len = snprintf(content, sizeof(content),
                       "{\"etcd_cluster_id\":\"%" PRIu64 "\",\"sync_revision\":%" PRId64 "}\n",
                       job->memory.etcd_cluster_id, job->memory.sync_revision);
    job->memory.exists = true;
    enum err_code code = dir_make(job->directory, 0700, err);
    return code == ERR_OK ? file_replace(job->path, content, (size_t)len, 0600, err) : code;
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
