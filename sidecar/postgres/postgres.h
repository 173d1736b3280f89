#pragma once
/* Everything about the local Postgres behind one entry: what is known of it (probe,
 * controldata, datadir), its files (conf) and its tools. It asks and remembers, decides nothing, and
 * changes nothing: that is done by the steps (steps_postgres.h), which are built on it.
 *
 * Nothing here waits: queries run on the loop, files are touched in the thread pool, tools run
 * through the guard (the image of the sidecar has no PostgreSQL). */
#include <stdbool.h>

#include "base/instant.h"
#include "loop/loop.h"
#include "settings/config.h"
#include "settings/settings.h"
#include "sidecar/core/view.h"
#include "sidecar/guard/guard_client.h"
#include "sidecar/postgres/facts.h"

struct postgres;

/* Something about Postgres is new: the view is stale. */
typedef void postgres_stale_fn(void *arg);

struct postgres_parts {
    struct loop *loop;
    struct guard_client *guard;      /* borrowed; outlives us */
    const struct config *config;     /* borrowed until postgres_config_changed */
    const struct settings *settings; /* borrowed until postgres_settings_changed */
    postgres_stale_fn *stale;        /* called from the loop, never from inside a call of ours */
    void *arg;
};

struct postgres *postgres_new(const struct postgres_parts *parts);
/* NULL is fine; returns NULL. Postgres itself goes on. */
struct postgres *postgres_free(struct postgres *postgres);

/* The former ones may be freed afterwards. Files are not touched: the difference shows as
 * pending_reload, and the plan of a reload writes them. */
void postgres_settings_changed(struct postgres *postgres, const struct settings *settings);
void postgres_config_changed(struct postgres *postgres, const struct config *config);

/* The guard said something new; call it from guard_client's `changed`. */
void postgres_guard_changed(struct postgres *postgres);

/* Fills view->pg. Reads view->now, self and store (who should have a slot), which must be filled. */
void postgres_fill(struct postgres *postgres, struct view *view);

/* What REST, metrics and the member key need beside the view. Borrowed, valid until the next turn of
 * the loop. */
const struct pg_facts *postgres_facts(const struct postgres *postgres);

/* Look again soon; `busy`: something is going on (a plan runs, somebody waits), look often. */
void postgres_look(struct postgres *postgres);
void postgres_set_busy(struct postgres *postgres, bool busy);

/* slots_drop_soon, for the slot of this member. */
bool postgres_drop_slot(struct postgres *postgres, const char *member);

/* The data directory (PG_DOWN) was changed by somebody: look at it and at pg_control again. */
void postgres_data_changed(struct postgres *postgres);
