#include "controller/kube/watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/kube/event_line.h"

enum {
    PAGE = 20,               /* objects; a pod is some 10 kB */
    PAGE_TIMEOUT_MS = 10000, /* for one page */
    WATCH_MIN_S = 240,       /* the server ends a watch after this and up to … */
    WATCH_SPREAD_S = 60,     /* … so much more */
    SILENCE_MS = 90000,      /* a bookmark comes every minute */
    PAUSE_MIN_MS = 100,      /* before the first try after a failure, doubled up to … */
    PAUSE_MAX_MS = 5000,
    SETTLED_MS = 10000, /* what has lived for so long begins with the shortest pause again */
    AT_ONCE_MS = 1000,  /* … and what has, and told something, without one */
};

struct kube_watch {
    struct kube_watch_spec spec;
    char *path;
    char *query;
    struct http_call *call;
    struct source *timer;           /* the next try, or the end of patience */
    char version[KUBE_VERSION_MAX]; /* "": list */
    char *cursor;                   /* the list's next page; NULL: the first */
    int64_t pause_ms;
    struct mono begun; /* the request that is open, or was last */
    bool heard;        /* something came on this watch */
    bool failing;      /* said in the log */
    bool open;         /* a list was completed and its watch has not been refused */
};

static void begin(struct kube_watch *watch);

static int64_t age_ms(const struct kube_watch *watch)
{
    return mono_diff(loop_now(watch->spec.loop), watch->begun);
}

static uint32_t chance(uint32_t below)
{
    uint32_t number = 0;
    (void)!getrandom(&number, sizeof(number), GRND_NONBLOCK);
    return number % below;
}

/* Between half and one and a half of a pause that doubles. */
static void again_later(struct kube_watch *watch)
{
    bool first = watch->pause_ms == 0 || age_ms(watch) > SETTLED_MS;
    int64_t pause_ms = first ? PAUSE_MIN_MS : watch->pause_ms * 2;
    watch->pause_ms = pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms;
    watch->call = http_call_free(watch->call);
    source_arm_in(watch->timer, watch->pause_ms / 2 + chance((uint32_t)watch->pause_ms));
}

static void fail(struct kube_watch *watch, const char *why)
{
    if (!watch->failing)
        log_warn("kubernetes: %s: %s -> again soon, nothing changes meanwhile", watch->spec.what,
                 why);
    watch->failing = true;
    watch->open = watch->open && watch->version[0] != '\0';
    again_later(watch);
}

static void works(struct kube_watch *watch)
{
    if (watch->failing)
        log_info("kubernetes: %s: the API answers again", watch->spec.what);
    watch->failing = false;
}

/* The version is too old: everything anew. */
static void expire(struct kube_watch *watch)
{
    log_debug("kubernetes: %s: version %s is compacted -> list again", watch->spec.what,
              watch->version);
    watch->version[0] = '\0';
    free(take(watch->cursor));
    again_later(watch);
}

/* ---- watching --------------------------------------------------------------------------------- */

static void on_event(struct kube_watch *watch, const struct kube_event *event)
{
    switch (event->kind) {
    case KUBE_EVENT_PUT:
        watch->spec.fn(watch->spec.arg, KUBE_NEWS_PUT, event->object);
        break;
    case KUBE_EVENT_DELETED:
        watch->spec.fn(watch->spec.arg, KUBE_NEWS_GONE, event->object);
        break;
    case KUBE_EVENT_BOOKMARK:
        break;
    case KUBE_EVENT_EXPIRED:
        expire(watch);
        return;
    case KUBE_EVENT_ERROR:
        fail(watch, "the watch ended with an error");
        return;
    }
    works(watch);
    memcpy(watch->version, event->version, sizeof(watch->version));
}

static void on_line(void *arg, const char *line, size_t len)
{
    struct kube_watch *watch = arg;
    struct kube_event event;
    struct err err;
    if (kube_event_parse(line, len, &event, &err) != ERR_OK) {
        fail(watch, err.text);
        return;
    }
    watch->heard = true;
    source_arm_in(watch->timer, SILENCE_MS);
    on_event(watch, &event);
    json_decref(event.object);
}

static void on_watch_end(void *arg, const struct http_result *result)
{
    struct kube_watch *watch = arg;
    struct err err;
    if (result->code == ERR_OK && result->status == 410) {
        expire(watch);
        return;
    }
    bool good = kube_outcome(watch->spec.kube, result, &err) == ERR_OK;
    if (!good && !(result->status == 200 && watch->heard)) {
        fail(watch, err.text);
        return;
    }
    /* Its time was over, or a connection that had worked broke: on from the same version. */
    if (watch->heard && age_ms(watch) > AT_ONCE_MS) {
        watch->call = http_call_free(watch->call);
        begin(watch);
    } else {
        again_later(watch);
    }
}

static void watch_begin(struct kube_watch *watch)
{
    auto_text struct text path = text_new(LIMIT_HTTP_HEADER);
    text_addf(&path,
              "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=", watch->path,
              WATCH_MIN_S + chance(WATCH_SPREAD_S));
    kube_add_query(&path, watch->version);
    if (watch->query[0] != '\0')
        text_addf(&path, "&%s", watch->query);
    watch->heard = false;
    const struct kube_request request = { .path = text_str(&path), .line = on_line };
    watch->call = kube_send(watch->spec.kube, &request, on_watch_end, watch);
    source_arm_in(watch->timer, SILENCE_MS);
}

/* ---- listing ---------------------------------------------------------------------------------- */

/* True: that was the last page. */
static enum err_code take_page(struct kube_watch *watch, const struct http_result *result,
                               bool *ret_last, struct err *err)
{
    auto_json json_t *list = NULL;
    const json_t *items;
    char version[KUBE_VERSION_MAX];
    enum err_code code = kube_answer(watch->spec.kube, result, "list", &list, err);
    struct json_reader reader = { .object = list, .name = "list" };
    if (code == ERR_OK)
        code = json_opt_array(reader, "items", &items, err);
    if (code == ERR_OK)
        code = kube_version_of(list, version, err);
    if (code != ERR_OK)
        return code;
    if (watch->cursor == NULL)
        watch->spec.fn(watch->spec.arg, KUBE_NEWS_LIST, NULL);
    size_t at;
    const json_t *item;
    json_array_foreach (items, at, item)
        watch->spec.fn(watch->spec.arg, KUBE_NEWS_PUT, item);
    const char *next =
        json_string_value(json_object_get(json_object_get(list, "metadata"), "continue"));
    free(watch->cursor);
    watch->cursor = next != NULL && next[0] != '\0' ? mem_strdup(next) : NULL;
    *ret_last = watch->cursor == NULL;
    if (*ret_last)
        memcpy(watch->version, version, sizeof(version));
    return ERR_OK;
}

static void on_page(void *arg, const struct http_result *result)
{
    struct kube_watch *watch = arg;
    struct err err;
    bool last;
    watch->call = http_call_free(watch->call);
    if (result->code == ERR_OK && result->status == 410) {
        expire(watch); /* the cursor has grown too old */
        return;
    }
    enum err_code code = take_page(watch, result, &last, &err);
    if (code != ERR_OK) {
        free(take(watch->cursor));
        fail(watch, err.text);
        return;
    }
    if (last) {
        works(watch);
        watch->open = true;
        watch->spec.fn(watch->spec.arg, KUBE_NEWS_LISTED, NULL);
    }
    begin(watch);
}

static void list_begin(struct kube_watch *watch)
{
    auto_text struct text path = text_new(LIMIT_HTTP_HEADER);
    text_addf(&path, "%s?limit=%d", watch->path, PAGE);
    if (watch->query[0] != '\0')
        text_addf(&path, "&%s", watch->query);
    if (watch->cursor != NULL) {
        text_add(&path, "&continue=");
        kube_add_query(&path, watch->cursor);
    }
    source_disarm(watch->timer);
    const struct kube_request request = { .path = text_str(&path), .timeout_ms = PAGE_TIMEOUT_MS };
    watch->call = kube_send(watch->spec.kube, &request, on_page, watch);
}

/* ---- life ------------------------------------------------------------------------------------- */

static void begin(struct kube_watch *watch)
{
    watch->begun = loop_now(watch->spec.loop);
    if (watch->version[0] == '\0')
        list_begin(watch);
    else
        watch_begin(watch);
}

static void on_timer(void *arg)
{
    struct kube_watch *watch = arg;
    if (watch->call != NULL)
        log_debug("kubernetes: %s: the watch is silent -> another one", watch->spec.what);
    watch->call = http_call_free(watch->call);
    begin(watch);
}

struct kube_watch *kube_watch_new(const struct kube_watch_spec *spec)
{
    struct kube_watch *watch = mem_struct(struct kube_watch);
    watch->spec = *spec;
    watch->path = mem_strdup(spec->path);
    watch->query = mem_strdup(spec->query != NULL ? spec->query : "");
    watch->timer = loop_timer(spec->loop, on_timer, watch);
    begin(watch);
    return watch;
}

struct kube_watch *kube_watch_free(struct kube_watch *watch)
{
    if (watch == NULL)
        return NULL;
    http_call_free(watch->call);
    source_free(watch->timer);
    free(watch->path);
    free(watch->query);
    free(watch->cursor);
    free(watch);
    return NULL;
}

bool kube_watch_current(const struct kube_watch *watch)
{
    return watch->open;
}
