/* What PostgreSQL's tools and files say: pg_controldata (c), a timeline's history file (h), a position
 * (l), a time as a person or PostgreSQL writes it (i). */
#include "fuzz.h"

#include "base/text.h"
#include "cluster/failover.h"
#include "cluster/history.h"
#include "cluster/lsn.h"
#include "cluster/timeline.h"
#include "sidecar/postgres/controldata.h"
#include "json/json.h"

enum { FUZZ_TIMELINE = 9 };

static void fuzz_control(const char *text)
{
    struct controldata control;
    struct err err;
    if (controldata_parse(text, &control, &err) != ERR_OK)
        return;
    FUZZ_HOLDS(control_state_name(control.state) != NULL);
    FUZZ_HOLDS(controldata_position(&control) >= control.checkpoint);
    (void)controldata_timeline(&control);
    FUZZ_HOLDS(!controldata_clean(&control) || control.state == CONTROL_SHUT_DOWN ||
               control.state == CONTROL_SHUT_DOWN_IN_RECOVERY);
}

static void fuzz_history(const char *bytes)
{
    struct timeline timeline;
    struct err err;
    struct history *history = mem_struct(struct history);
    if (timeline_parse(FUZZ_TIMELINE, bytes, &timeline, &err) == ERR_OK) {
        FUZZ_HOLDS(timeline_equal(&timeline, &timeline) && timeline_cmp(&timeline, &timeline) == 0);
        for (uint32_t i = 1; i < timeline.n; i++)
            FUZZ_HOLDS(timeline.entries[i - 1].tli < timeline.entries[i].tli);
        FUZZ_HOLDS(history_from_file(FUZZ_TIMELINE, bytes, history, &err) == ERR_OK);
        FUZZ_HOLDS(history->n == timeline.n);
        auto_json json_t *json = history_to_json(history, 0);
        struct text written = text_new(1 << 20);
        json_write(&written, json);
        FUZZ_HOLDS(history_from_json(text_str(&written), written.len, history, &err) == ERR_OK);
        FUZZ_HOLDS(history->n == timeline.n);
        text_done(&written);
    }
    free(history);
}

static void fuzz_lsn(const char *text)
{
    char buffer[LSN_TEXT_MAX];
    lsn_t lsn = 0;
    lsn_t again = 0;
    if (lsn_parse(text, &lsn))
        FUZZ_HOLDS(lsn_parse(lsn_format(lsn, buffer), &again) && again == lsn);
}

static void fuzz_iso(const char *text)
{
    char buffer[CLOCK_ISO_MAX];
    struct wall wall;
    struct wall again;
    if (iso_parse(text, &wall) == ISO_OK)
        FUZZ_HOLDS(iso_parse(clock_iso(wall, buffer), &again) == ISO_OK && again.ms == wall.ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = fuzz_text(data + 1, size - 1);
    if (data[0] == 'c')
        fuzz_control(text);
    else if (data[0] == 'h')
        fuzz_history(text);
    else if (data[0] == 'l')
        fuzz_lsn(text);
    else if (data[0] == 'i')
        fuzz_iso(text);
    free(text);
    return 0;
}
