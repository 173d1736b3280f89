/* list: the members as `patronictl list` prints them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clean.h"
#include "base/clock.h"
#include "ctl/ctl.h"

/* What a row is made of; `key` as in the rows of patronictl. */
static const struct {
    const char *title;
    const char *key;
    bool right;
    bool optional; /* shown with -e, or when somebody has it */
} columns[] = {
    { "Cluster", NULL, false, false },
    { "Member", "name", false, false },
    { "Host", "host", false, false },
    { "Role", "role", false, false },
    { "State", "state", false, false },
    { "TL", "timeline", true, false },
    { "Receive LSN", "receive_lsn", true, false },
    { "Receive Lag", "receive_lag", true, false },
    { "Replay LSN", "replay_lsn", true, false },
    { "Replay Lag", "replay_lag", true, false },
    { "Pending restart", "pending_restart", false, true },
    { "Pending restart reason", "pending_restart_reason", false, true },
    { "Scheduled restart", "scheduled_restart", false, true },
    { "Tags", "tags", false, true },
};

enum { N_COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static bool anybody_has(const json_t *members, const char *key)
{
    size_t i;
    json_t *member;
    json_array_foreach ((json_t *)(uintptr_t)members, i, member) {
        if (json_object_get(member, key) != NULL)
            return true;
    }
    return false;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* "sync_standby" to "Sync Standby" */
static json_t *title_case(const char *role)
{
    struct text text = text_new(LIMIT_NAME);
    char before = '_';
    for (; *role != '\0'; role++) {
        char c = before == '_' ? upper(*role) : *role;
        text_add_bytes(&text, c == '_' ? " " : &c, 1);
        before = *role;
    }
    json_t *json = json_string(text_str(&text));
    text_done(&text);
    return json;
}

/* Port only where one differs from 5432 or two members share a host. */
static bool ports_matter(const json_t *members)
{
    size_t n = json_array_size(members);
    for (size_t i = 0; i < n; i++) {
        const json_t *member = json_array_get(members, i);
        const json_t *port = json_object_get(member, "port");
        if (port != NULL && json_integer_value(port) != 5432)
            return true;
        for (size_t j = 0; j < i; j++)
            if (strcmp(ctl_text(json_array_get(members, j), "host"), ctl_text(member, "host")) == 0)
                return true;
    }
    return false;
}

static json_t *host_cell(const json_t *member, bool with_port)
{
    const json_t *port = json_object_get(member, "port");
    const char *host = ctl_text(member, "host");
    if (!with_port || port == NULL || host[0] == '\0')
        return json_string(host);
    return json_sprintf("%s:%d", host, (int)json_integer_value(port));
}

/* Bytes to MiB, rounded as Python rounds; "unknown" stays. */
static json_t *lag_cell(const json_t *lag)
{
    if (!json_is_integer(lag))
        return json_string(json_string_value(lag) != NULL ? json_string_value(lag) : "");
    int64_t bytes = json_integer_value(lag), mib = bytes / 1048576, rest = bytes % 1048576;
    if (rest > 524288 || (rest == 524288 && mib % 2 == 1))
        mib++;
    return json_integer(mib);
}

static json_t *reason_cell(const json_t *reasons, bool hide_long)
{
    struct text text = text_new(LIMIT_FILE);
    const char *name;
    json_t *values;
    json_object_foreach ((json_t *)(uintptr_t)reasons, name, values) {
        auto_text struct text line = text_new(LIMIT_FILE);
        text_addf(&line, "%s: %s->%s", name, ctl_text(values, "old_value"),
                  ctl_text(values, "new_value"));
        if (hide_long && line.len > 50) {
            text_clear(&line);
            text_addf(&line, "%s: [hidden - too long]", name);
        }
        text_addf(&text, "%s%s", text.len > 0 ? "\n" : "", text_str(&line));
    }
    json_t *json = json_string(text_str(&text));
    text_done(&text);
    return json;
}

static json_t *schedule_cell(const json_t *restart)
{
    const char *version = ctl_text(restart, "postgres_version");
    return json_sprintf("%s%s%s", ctl_text(restart, "schedule"),
                        version[0] != '\0' ? " if version < " : "", version);
}

struct row {
    const struct ctl *ctl;
    const json_t *member;
    bool with_port;
};

static json_t *cell(const struct row *row, const char *key)
{
    const json_t *value = json_object_get(row->member, key);
    if (strcmp(key, "host") == 0)
        return host_cell(row->member, row->with_port);
    if (strcmp(key, "role") == 0)
        return title_case(ctl_text(row->member, "role"));
    if (strstr(key, "_lag") != NULL)
        return lag_cell(value);
    if (value == NULL)
        return json_string("");
    if (strcmp(key, "pending_restart") == 0)
        return json_string(json_is_true(value) ? "*" : "");
    if (strcmp(key, "pending_restart_reason") == 0)
        return reason_cell(value, row->ctl->args.format == CTL_PRETTY);
    if (strcmp(key, "scheduled_restart") == 0)
        return schedule_cell(value);
    return json_deep_copy(value);
}

static json_t *make_rows(const struct ctl *ctl, const json_t *members, const size_t *shown,
                         size_t n_shown)
{
    json_t *rows = json_array();
    bool with_port = ports_matter(members);
    for (size_t i = 0; i < json_array_size(members); i++) {
        struct row row = { .ctl = ctl,
                           .member = json_array_get(members, i),
                           .with_port = with_port };
        json_t *cells = json_array();
        for (size_t c = 0; c < n_shown; c++) {
            const char *key = columns[shown[c]].key;
            json_array_append_new(cells, key != NULL ? cell(&row, key) : json_string(ctl->scope));
        }
        json_array_append_new(rows, cells);
    }
    return rows;
}

/* What patronictl prints below the table, and our witness. */
static void print_service_info(const struct ctl_cluster *cluster)
{
    const json_t *schedule = json_object_get(cluster->cluster, "scheduled_switchover");
    if (cluster->pause)
        puts(" Maintenance mode: on");
    if (schedule != NULL) {
        printf(" Switchover scheduled at: %s\n", ctl_text(schedule, "at"));
        if (ctl_text(schedule, "from")[0] != '\0')
            printf("                    from: %s\n", ctl_text(schedule, "from"));
        if (ctl_text(schedule, "to")[0] != '\0')
            printf("                      to: %s\n", ctl_text(schedule, "to"));
    }
    /* Only of a member that was asked (-d): cut off, it tells what it heard last. */
    const json_t *asked = json_object_get(cluster->cluster, "pgvigil");
    if (text_starts_with(ctl_text(asked, "rule"), "store-"))
        printf(" As %s saw it last: %s\n", ctl_text(asked, "member"), ctl_text(asked, "reason"));
    size_t i;
    json_t *witness;
    json_array_foreach (json_object_get(cluster->cluster, "witness"), i, witness) {
        json_t *voter = json_object_get(witness, "voter");
        printf(" Witness: %s%s\n", ctl_text(witness, "name"),
               json_is_false(voter) ? " (no voter)" : "");
    }
}

void ctl_cluster_print(struct ctl *ctl, const struct ctl_cluster *cluster)
{
    const json_t *members = json_object_get(cluster->cluster, "members");
    size_t shown[N_COLUMNS];
    const char *id = !cluster->initialized            ? "uninitialized"
                     : cluster->initialize[0] == '\0' ? "initializing"
                                                      : cluster->initialize;
    auto_text struct text title = text_new(LIMIT_LOG_LINE);
    text_addf(&title, " Cluster: %s (%s) ", ctl->scope, id);
    struct ctl_table table = { .title = text_str(&title), .skip = 1 };
    for (size_t c = 0; c < N_COLUMNS; c++) {
        if (columns[c].optional && !ctl->args.extended && !anybody_has(members, columns[c].key))
            continue;
        shown[table.n_columns] = c;
        table.right[table.n_columns] = columns[c].right;
        table.columns[table.n_columns++] = columns[c].title;
    }
    table.rows = make_rows(ctl, members, shown, table.n_columns);
    ctl_table_print(&table, ctl->args.format, true);
    if (ctl->args.format == CTL_PRETTY)
        print_service_info(cluster);
    json_decref(table.rows);
}

static int list_once(struct ctl *ctl)
{
    struct err err;
    struct ctl_cluster cluster;
    if (ctl_cluster_load(ctl, &cluster, &err) != ERR_OK)
        return ctl_fail("%s", err.text);
    if (ctl->args.timestamp) {
        char now[CLOCK_ISO_MAX];
        clock_iso(clock_wall(), now);
        now[10] = ' ';
        printf("%.19s\n", now);
    }
    ctl_cluster_print(ctl, &cluster);
    ctl_cluster_done(&cluster);
    return CTL_OK;
}

static void end_pause(void *arg)
{
    loop_stop(arg);
}

int ctl_verb_list(struct ctl *ctl)
{
    int status = list_once(ctl);
    while (ctl->args.watch_s > 0) {
        auto_source struct source *timer = loop_timer(ctl->loop, end_pause, ctl->loop);
        source_arm_in(timer, (int64_t)(ctl->args.watch_s * 1000));
        loop_run(ctl->loop);
        fputs("\033[H\033[J", stdout);
        status = list_once(ctl);
    }
    return status;
}
