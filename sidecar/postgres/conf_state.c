#include "sidecar/postgres/conf_state.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sidecar/postgres/conf.h"
#include "sidecar/postgres/files.h"

/* "name = 'value'" as conf.c writes it; the last one counts, as for Postgres. */
static bool take_setting(const char *line, const char *name, char *ret_value, size_t size)
{
    size_t len = strlen(name);
    if (strncmp(line, name, len) != 0 || strncmp(line + len, " = '", 4) != 0)
        return false;
    size_t used = 0;
    for (const char *at = line + len + 4; *at != '\0' && *at != '\n' && used + 1 < size; at++) {
        bool mark = *at == '\'' || *at == '\\';
        if (mark && at[1] != at[0])
            break; /* the end */
        at += mark;
        ret_value[used++] = *at;
    }
    ret_value[used] = '\0';
    return true;
}

static void take_upstream(const char *line, struct conf_state *state)
{
    char name[LIMIT_NAME];
    char host[LIMIT_URL];
    int port;
    _Static_assert(LIMIT_NAME == 64 && LIMIT_URL == 256, "the widths below");
    if (sscanf(line, "# upstream: %63s %255s %d", name, host, &port) != 3)
        return;
    memcpy(state->upstream, name, sizeof(name));
    memcpy(state->upstream_host, host, sizeof(host));
    state->upstream_port = port;
}

void conf_state_parse(const char *text, struct conf_state *ret)
{
    struct conf_state state = { .ours = text_starts_with(text, CONF_MARK) };
    for (const char *line = text; state.ours && line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        take_upstream(line, &state);
        (void)take_setting(line, "synchronous_standby_names", state.ssn, sizeof(state.ssn));
    }
    state.ssn_kind = ssn_parse(state.ssn, &state.ssn_names);
    *ret = state;
}

void conf_state_read(const struct place *place, struct conf_state *ret)
{
    char path[LIMIT_PATH];
    struct text text = text_new(LIMIT_FILE);
    if (file_read(path_join(path, place->conf_dir, "postgresql.conf"), &text, NULL) != ERR_OK)
        text_clear(&text);
    conf_state_parse(text_str(&text), ret);
    text_done(&text);
}
