#pragma once
/* The pods of the release as the API told them: values out of JSON, and a table of them in which only
 * what is newer changes anything (the answer to a patch may overtake the watch). */
#include "base/err.h"
#include "controller/core/view.h"
#include "json/json.h"

/* `label_key`: the role label. Errors: ERR_PROTOCOL, ERR_LIMIT. The fields of our own work (patching,
 * maybe_primary) are left zero. */
enum err_code pod_from_json(const json_t *object, const char *label_key, struct pod *ret_pod,
                            struct err *err);

struct pod_table {
    struct pods pods;
    bool listed[LIMIT_PODS]; /* told since the list began */
};

/* True: something is new. A pod of the same name and another uid replaces the former one. */
bool pod_table_put(struct pod_table *table, const struct pod *pod);
bool pod_table_remove(struct pod_table *table, const char *name, const char *uid);
struct pod *pod_table_find(struct pod_table *table, const char *name, const char *uid);
void pod_table_begin(struct pod_table *table);
bool pod_table_end(struct pod_table *table);
