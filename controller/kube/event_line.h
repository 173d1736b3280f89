#pragma once
/* One line of a watch (pure). Errors come in two forms: as an HTTP status before the stream, and as
 * an ERROR event in it. */
#include "base/err.h"
#include "json/json.h"

enum kube_event_kind {
    KUBE_EVENT_PUT,      /* ADDED, MODIFIED */
    KUBE_EVENT_DELETED,  /* the object as it was last */
    KUBE_EVENT_BOOKMARK, /* nothing up to `version` */
    KUBE_EVENT_EXPIRED,  /* 410: what was asked for is compacted, list anew */
    KUBE_EVENT_ERROR,    /* any other: the watch is over */
};

enum { KUBE_VERSION_MAX = 64 };

struct kube_event {
    enum kube_event_kind kind;
    json_t *object;                 /* new reference; free with json_decref */
    char version[KUBE_VERSION_MAX]; /* metadata.resourceVersion; "" for the last two kinds */
};

/* Errors: ERR_PROTOCOL, ERR_LIMIT (a version that is too long). */
enum err_code kube_event_parse(const char *line, size_t len, struct kube_event *ret_event,
                               struct err *err);

/* metadata.resourceVersion of an object or a list. Errors as above. */
enum err_code kube_version_of(const json_t *object, char ret_version[KUBE_VERSION_MAX],
                              struct err *err);
