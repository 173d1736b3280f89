#pragma once
/* The dynamic settings: the key `config` of the store over the built-in defaults, and below what the
 * local file may say (in `postgresql` only, patroni-compat 1.1). A struct settings is never changed:
 * every new `config` makes a new one, and a bad `config` makes none. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/text.h"
#include "settings/config.h"

/* `quorum` is understood and refused with a clear message. */
enum sync_mode { SYNC_OFF, SYNC_ON, SYNC_QUORUM };

struct settings {
    int64_t ttl_s;       /* 30 when `config` lacks it; at least 3 */
    int64_t loop_wait_s; /* kept and shown, not used; so is retry_timeout_s */
    int64_t retry_timeout_s;
    int64_t maximum_lag_on_failover; /* bytes */
    int64_t maximum_lag_on_syncnode; /* bytes; <= 0: off */
    int64_t max_timelines_history;   /* 0: all */
    int64_t primary_start_timeout_s; /* 0: fail over at once where somebody can take over */
    int synchronous_mode;            /* enum sync_mode, never SYNC_QUORUM once built */
    bool synchronous_mode_strict;
    int64_t synchronous_node_count;
    bool failsafe_mode;
    bool pause;
    int64_t member_slots_ttl_s;

    /* postgresql.*: the store's, over which the local file goes */
    bool use_slots;
    bool use_pg_rewind;
    bool clone_on_rewind_failure; /* remove_data_directory_on_rewind_failure */
    bool clone_on_divergence;     /* remove_data_directory_on_diverged_timelines */
    struct text_list pg_hba;      /* n 0: the file is left alone */
    struct text_list pg_ident;
    json_t *recovery_conf;    /* object of texts, or NULL */
    json_t *parameters;       /* object as merged; settings/parameters.h makes the list */
    json_t *store_parameters; /* the store's alone: command-line parameters come from here */
    json_t *postgresql;       /* the whole merged section */
};

/* `store`: the parsed key `config`, borrowed; NULL when the key is absent (all defaults).
 * `warnings`: unknown keys, values raised to their floor, unsupported settings; one line each.
 * Errors: ERR_INVALID: "config: <path>: expected …, not …"; nothing was made; keep the former ones. */
enum err_code settings_new(const json_t *store, const struct config *config,
                           struct settings **ret_settings, struct text *warnings, struct err *err);
struct settings *settings_free(struct settings *settings);

/* What the founder writes into `config`: bootstrap.dcs where the file has it, over our defaults
 * (design part 5: ttl 10, synchronous_mode on, failsafe_mode off, use_pg_rewind, use_slots). New
 * reference. */
json_t *settings_default_config(const struct config *config);

/* PATCH /config: null deletes, objects are merged, everything else replaces (compared as text, so
 * that "5" does not replace 5). New reference; `base` and `patch` are not changed. */
json_t *settings_patch(const json_t *base, const json_t *patch, bool *ret_changed);

/* --check-config: file, environment, and the bootstrap.dcs in it as if it were `config`. Warnings and
 * a summary go to `report`. */
enum err_code settings_check(const char *path, bool witness, struct text *report, struct err *err);

/* docs/configuration.md, and the options' part of --help: from the table. */
void settings_print_reference(FILE *to);
void settings_print_help(FILE *to);
