#include "sidecar/postgres/slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/member.h"
#include "sidecar/postgres/files.h"

/* A slot that we made, and since when no member of that name is there. */
struct made {
    char name[LIMIT_NAME];
    struct mono unwanted_since;
    bool ordered; /* to go at once */
};

struct slots_job {
    struct slots *slots;
    char path[LIMIT_PATH];
    struct text content;
    enum err_code code;
    struct err err;
};

struct slots {
    struct loop *loop;
    char *path;
    bool read;
    size_t n;
    struct made made[LIMIT_SLOTS];
    struct source *work;
    slots_done_fn *done;
    void *arg;
};

/* ---- the file ---- */

static struct made *find(struct slots *slots, const char *name)
{
    for (size_t i = 0; i < slots->n; i++)
        if (strcmp(slots->made[i].name, name) == 0)
            return &slots->made[i];
    return NULL;
}

static void remember(struct slots *slots, const char *name)
{
    if (name[0] == '\0' || find(slots, name) != NULL || slots->n == LIMIT_SLOTS)
        return;
    struct made *made = &slots->made[slots->n++];
    made->unwanted_since = MONO_NEVER;
    made->ordered = false;
    text_copy(made->name, sizeof(made->name), name);
}

static void read_file(void *arg)
{
    struct slots_job *job = arg;
    job->code = file_read(job->path, &job->content, &job->err);
}

static void free_job(void *arg)
{
    struct slots_job *job = arg;
    text_done(&job->content);
    free(job);
}

static void on_read(void *arg)
{
    struct slots_job *job = arg;
    struct slots *slots = job->slots;
    char name[LIMIT_NAME];
    slots->work = source_free(slots->work);
    for (const char *line = text_str(&job->content); *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (len < sizeof(name)) {
            memcpy(name, line, len);
            name[len] = '\0';
            remember(slots, name);
        }
        line += len + (line[len] == '\n');
    }
    if (job->code != ERR_OK && job->code != ERR_NOT_FOUND)
        log_debug("slots: %s", job->err.text);
    slots->read = true;
    free_job(job);
}

static void write_file(void *arg)
{
    struct slots_job *job = arg;
    job->code = file_replace(job->path, text_str(&job->content), job->content.len, 0600, &job->err);
}

static void on_written(void *arg)
{
    struct slots_job *job = arg;
    struct slots *slots = job->slots;
    slots_done_fn *done = slots->done;
    slots->work = source_free(slots->work);
    slots->done = NULL;
    if (done != NULL)
        done(slots->arg, job->code, &job->err);
    free_job(job);
}

static struct slots_job *new_job(struct slots *slots)
{
    struct slots_job *job = mem_struct(struct slots_job);
    job->slots = slots;
    job->content = text_new(LIMIT_FILE);
    text_copy(job->path, sizeof(job->path), slots->path);
    return job;
}

struct slots *slots_new(struct loop *loop, const char *path)
{
    struct slots *slots = mem_struct(struct slots);
    slots->loop = loop;
    slots->path = mem_strdup(path);
    slots->work = loop_work(loop, read_file, on_read, free_job, new_job(slots));
    return slots;
}

struct slots *slots_free(struct slots *slots)
{
    if (slots == NULL)
        return NULL;
    source_free(slots->work);
    free(slots->path);
    free(slots);
    return NULL;
}

void slots_cancel(struct slots *slots)
{
    slots->done = NULL;
}

void slots_remember(struct slots *slots, const struct slot_plan *plan, slots_done_fn *done,
                    void *arg)
{
    for (size_t i = 0; i < plan->n_create; i++)
        remember(slots, plan->create[i]);
    struct slots_job *job = new_job(slots);
    for (size_t i = 0; i < slots->n; i++)
        text_addf(&job->content, "%s\n", slots->made[i].name);
    source_free(slots->work);
    slots->done = done;
    slots->arg = arg;
    slots->work = loop_work(slots->loop, write_file, on_written, free_job, job);
}

void slots_forget(struct slots *slots, const char *name)
{
    struct made *made = find(slots, name);
    if (made != NULL)
        *made = slots->made[--slots->n];
}

bool slots_drop_soon(struct slots *slots, const char *name)
{
    struct made *made = find(slots, name);
    if (made != NULL)
        made->ordered = true;
    return made != NULL;
}

/* ---- what to do ---- */

static const struct pg_slot_fact *existing(const struct pg_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->n_slots; i++)
        if (strcmp(facts->slots[i].name, name) == 0)
            return &facts->slots[i];
    return NULL;
}

static bool wanted_by_member(const struct view *view, const char *slot)
{
    char name[LIMIT_NAME];
    for (size_t i = 0; i < view->store.n_peers; i++) {
        member_slot_name(view->store.peers[i].member.name, name);
        if (view->store.peers[i].has_key && strcmp(name, slot) == 0)
            return true;
    }
    return false;
}

static void plan_create(const struct view *view, const struct pg_facts *facts,
                        struct slot_plan *plan)
{
    char name[LIMIT_NAME];
    for (size_t i = 0; i < view->store.n_peers; i++) {
        member_slot_name(view->store.peers[i].member.name, name);
        if (view->store.peers[i].has_key && existing(facts, name) == NULL &&
            plan->n_create < LIMIT_MEMBERS)
            text_copy(plan->create[plan->n_create++], LIMIT_NAME, name);
    }
}

static void add_drop(struct slot_plan *plan, const struct pg_slot_fact *slot)
{
    if (slot != NULL && slot->physical && !slot->active && plan->n_drop < LIMIT_MEMBERS)
        text_copy(plan->drop[plan->n_drop++], LIMIT_NAME, slot->name);
}

void slots_plan(struct slots *slots, const struct view *view, const struct pg_facts *facts,
                int64_t ttl_s, struct slot_plan *ret_plan)
{
    struct slot_plan plan = { .n_create = 0 };
    if (slots->read)
        plan_create(view, facts, &plan);
    for (size_t i = 0; i < slots->n; i++) {
        struct made *made = &slots->made[i];
        if (wanted_by_member(view, made->name)) {
            made->unwanted_since = MONO_NEVER;
            made->ordered = false;
            continue;
        }
        if (made->unwanted_since.ms == MONO_NEVER.ms)
            made->unwanted_since = view->now;
        if (made->ordered || mono_diff(view->now, made->unwanted_since) >= ttl_s * 1000)
            add_drop(&plan, existing(facts, made->name));
    }
    *ret_plan = plan;
}

void slots_plan_standby(struct slots *slots, const struct pg_facts *facts,
                        struct slot_plan *ret_plan)
{
    struct slot_plan plan = { .n_create = 0 };
    for (size_t i = 0; i < slots->n; i++)
        add_drop(&plan, existing(facts, slots->made[i].name));
    *ret_plan = plan;
}
