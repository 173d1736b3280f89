/* Looking at the data directory:  directory (pool) -> pg_controldata (tool) -> history (pool).
 * While Postgres is down it is looked at again every few seconds: a person may have mended it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/postgres/context.h"

enum { LOOK_AGAIN_MS = 5000, LOOK_RETRY_MS = 500, CONTROL_MS = 10000 };

struct look_job {
    struct postgres *postgres;
    struct place place;
    struct datadir dir;
    uint32_t tli;
    struct timeline timeline;
    enum err_code code;
    struct err err;
};

static void begin(void *arg);
static void look_done(struct postgres *postgres);

static struct look_job *new_job(struct postgres *postgres)
{
    struct look_job *job = mem_struct(struct look_job);
    job->postgres = postgres;
    job->place = postgres->place;
    return job;
}

/* ---- history ---- */

static void read_history(void *arg)
{
    struct look_job *job = arg;
    job->code = datadir_history(&job->place, job->tli, &job->timeline, &job->err);
}

static void on_history(void *arg)
{
    struct look_job *job = arg;
    struct look *look = &job->postgres->look;
    look->work = source_free(look->work);
    if (job->code == ERR_OK)
        look->coming.timeline = job->timeline;
    else
        log_debug("look: %s", job->err.text);
    look_done(job->postgres);
    free(job);
}

static void ask_history(struct postgres *postgres)
{
    struct look_job *job = new_job(postgres);
    job->tli = controldata_timeline(&postgres->look.coming.control);
    if (postgres->look.coming.dir.dir == DATA_DIR_FRESH)
        text_copy(job->place.data, sizeof(job->place.data), postgres->place.fresh_data);
    postgres->look.work = loop_work(postgres->parts.loop, read_history, on_history, free, job);
}

/* ---- pg_controldata ---- */

/* The tool ran and cannot read it: the file is corrupt, or of another version of PostgreSQL. */
static void control_unusable(struct postgres *postgres, const char *why)
{
    struct datadir *dir = &postgres->look.coming.dir;
    snprintf(postgres->look.trouble, sizeof(postgres->look.trouble), "%.500s", why);
    if (dir->dir == DATA_DIR_VALID) {
        dir->dir = DATA_DIR_BROKEN;
        snprintf(dir->trouble, sizeof(dir->trouble), "%.200s: %.300s", postgres->place.data, why);
    }
}

/* Without a guard (of which a rule speaks) nothing is wrong with it. A guard without the lock runs
 * nothing (G3); else the program is not there, or does not end. */
static void say_not_asked(struct postgres *postgres, const struct tool_result *result,
                          const char *why)
{
    struct look *look = &postgres->look;
    const char *bin_dir = postgres->parts.config->postgresql.bin_dir;
    bool locked_out = !guard_client_status(postgres->parts.guard)->lock_held;
    char text[sizeof(look->trouble)];
    if (result->code == ERR_REFUSED && locked_out)
        snprintf(text, sizeof(text),
                 "another guard, or what it started, holds the lock of this data: only one may run "
                 "on it; the guard's log says which process");
    else if (result->code == ERR_TIMEOUT)
        snprintf(text, sizeof(text), "%.500s", why);
    else
        snprintf(text, sizeof(text), "%.250s (postgresql.bin_dir is %.200s)", why,
                 bin_dir != NULL ? bin_dir : "not set");
    if (strcmp(text, look->trouble) != 0)
        log_error("%s -> trying again", text);
    memcpy(look->trouble, text, sizeof(text));
}

/* Nothing is known of the directory. */
static void control_not_asked(struct postgres *postgres)
{
    struct look *look = &postgres->look;
    look->dir_known = false;
    look->running = false;
    source_arm_in(look->timer, LOOK_RETRY_MS);
    postgres_changed(postgres);
}

static void on_control(void *arg, const struct tool_result *result)
{
    struct postgres *postgres = arg;
    struct look *look = &postgres->look;
    struct err err = { .code = ERR_OK };
    enum err_code code = tool_verdict(result, "pg_controldata", &err);
    bool ran = result->code == ERR_OK && result->exit_code != 127;
    bool corrupt = strstr(result->output, "Calculated CRC checksum does not match") != NULL;
    if (code == ERR_OK && corrupt)
        code = err_set(&err, ERR_INVALID, "global/pg_control is corrupt (its checksum is wrong)");
    if (code == ERR_OK)
        code = controldata_parse(result->output, &look->coming.control, &err);
    look->tool = tool_call_free(look->tool);
    look->coming.control_known = code == ERR_OK;
    if (code != ERR_OK && !ran) {
        if (result->code != ERR_UNREACHABLE)
            say_not_asked(postgres, result, err.text);
        control_not_asked(postgres);
        return;
    }
    look->trouble[0] = '\0';
    if (code == ERR_OK) {
        ask_history(postgres);
        return;
    }
    control_unusable(postgres, err.text);
    look_done(postgres);
}

static void ask_control(struct postgres *postgres)
{
    bool fresh = postgres->look.coming.dir.dir == DATA_DIR_FRESH;
    const char *const args[] = { fresh ? postgres->place.fresh_data : postgres->place.data, NULL };
    const struct tool_spec spec = {
        .program = "pg_controldata",
        .args = args,
        .deadline = mono_add(loop_now(postgres->parts.loop), CONTROL_MS),
        .done = on_control,
        .arg = postgres,
    };
    postgres->look.tool = tools_run(postgres->tools, &spec);
}

/* ---- the directory ---- */

static void look_at_directory(void *arg)
{
    struct look_job *job = arg;
    datadir_look(&job->place, &job->dir);
}

static void on_directory(void *arg)
{
    struct look_job *job = arg;
    struct postgres *postgres = job->postgres;
    struct look *look = &postgres->look;
    look->work = source_free(look->work);
    look->coming = (struct findings){ .dir = job->dir };
    free(job);
    if (look->coming.dir.dir == DATA_DIR_VALID || look->coming.dir.dir == DATA_DIR_FRESH)
        ask_control(postgres);
    else
        look_done(postgres);
}

static void begin(void *arg)
{
    struct postgres *postgres = arg;
    struct look *look = &postgres->look;
    if (look->running)
        return;
    look->wanted = false;
    look->running = true;
    look->work =
        loop_work(postgres->parts.loop, look_at_directory, on_directory, free, new_job(postgres));
}

static void look_done(struct postgres *postgres)
{
    struct look *look = &postgres->look;
    const struct datadir *dir = &look->found.dir;
    look->running = false;
    if (look->wanted) {
        begin(postgres);
        return;
    }
    look->found = look->coming;
    if (!look->dir_known && dir->dir == DATA_DIR_BROKEN)
        log_error("data directory: %s -> staying out", dir->trouble);
    look->dir_known = true;
    conf_adopt_disk(postgres);
    if (postgres->state == PG_DOWN)
        source_arm_in(look->timer, LOOK_AGAIN_MS);
    postgres_changed(postgres);
}

void look_begin(struct postgres *postgres)
{
    postgres->look.timer = loop_timer(postgres->parts.loop, begin, postgres);
    look_again(postgres);
}

void look_end(struct postgres *postgres)
{
    source_free(postgres->look.work);
    source_free(postgres->look.timer);
    tool_call_free(postgres->look.tool);
}

void look_again(struct postgres *postgres)
{
    postgres->look.dir_known = false;
    postgres->look.wanted = true;
    if (!postgres->look.running)
        source_arm_in(postgres->look.timer, 0);
}
