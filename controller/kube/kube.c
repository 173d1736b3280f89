#include "controller/kube/kube.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/kube/place.h"

enum {
    LOOK_AGAIN_MS = 60000,    /* kubelet renews a token when a fifth of its life is left */
    LOOK_AFTER_401_MS = 1000, /* not in a circle */
    CONNECT_MS = 3000,
};

/* Reading beside the loop; owned by the source while it runs. */
struct look {
    struct kube *kube;
    struct kube_place *found;
    struct err err;
};

struct kube {
    struct loop *loop;
    struct http *http;
    struct kube_place *place;
    struct http_tls *tls;
    char *ns;
    char *authorization; /* the header; NULL: none */
    struct source *timer;
    struct source *work;
    bool complained;
};

/* ---- who we are ------------------------------------------------------------------------------- */

static void take_place(struct kube *kube, struct kube_place *place)
{
    const struct http_tls_pem pem = {
        .ca = place->ca, .cert = place->cert, .key = place->key, .insecure = place->insecure
    };
    kube_place_free(kube->place);
    http_tls_free(kube->tls);
    free(kube->authorization);
    kube->place = place;
    kube->tls = http_tls_new(&pem);
    kube->authorization = NULL;
    if (place->token == NULL)
        return;
    struct text header = text_new(LIMIT_HTTP_HEADER);
    text_addf(&header, "Authorization: Bearer %s", place->token);
    kube->authorization = text_take(&header);
}

static void look(void *arg)
{
    struct look *work = arg;
    (void)kube_place_find(&work->found, &work->err);
}

static void look_dropped(void *arg)
{
    struct look *work = arg;
    kube_place_free(work->found);
    free(work);
}

static void looked(void *arg)
{
    struct look *work = arg;
    struct kube *kube = work->kube;
    kube->work = source_free(kube->work);
    source_arm_in(kube->timer, LOOK_AGAIN_MS);
    if (work->found == NULL) {
        if (!kube->complained)
            log_warn("kubernetes: %s -> the old credentials stay", work->err.text);
        kube->complained = true;
    } else {
        kube->complained = false;
        if (!kube_place_equal(work->found, kube->place)) {
            log_info("kubernetes: token or certificates are new -> taken");
            take_place(kube, take(work->found));
        }
    }
    look_dropped(work);
}

static void on_timer(void *arg)
{
    struct kube *kube = arg;
    if (kube->work != NULL)
        return;
    struct look *work = mem_struct(struct look);
    work->kube = kube;
    kube->work = loop_work(kube->loop, look, looked, look_dropped, work);
}

enum err_code kube_new(struct loop *loop, struct http *http, struct kube **ret_kube,
                       struct err *err)
{
    struct kube_place *place;
    enum err_code code = kube_place_find(&place, err);
    if (code != ERR_OK)
        return err_wrap(err, "kubernetes");
    struct kube *kube = mem_struct(struct kube);
    kube->loop = loop;
    kube->http = http;
    kube->ns = mem_strdup(place->ns);
    take_place(kube, place);
    kube->timer = loop_timer(loop, on_timer, kube);
    source_arm_in(kube->timer, LOOK_AGAIN_MS);
    *ret_kube = kube;
    return ERR_OK;
}

struct kube *kube_free(struct kube *kube)
{
    if (kube == NULL)
        return NULL;
    source_free(kube->work);
    source_free(kube->timer);
    kube_place_free(kube->place);
    http_tls_free(kube->tls);
    free(kube->authorization);
    free(kube->ns);
    free(kube);
    return NULL;
}

const char *kube_namespace(const struct kube *kube)
{
    return kube->ns;
}

/* ---- requests --------------------------------------------------------------------------------- */

struct http_call *kube_send(struct kube *kube, const struct kube_request *request,
                            http_done_fn *done, void *arg)
{
    auto_text struct text url = text_new(LIMIT_HTTP_HEADER);
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    bool patch = request->method != NULL && strcmp(request->method, "PATCH") == 0;
    text_add(&url, kube->place->server);
    text_add(&url, request->path);
    if (request->body != NULL)
        json_write(&body, request->body);
    static const char agent[] = "User-Agent: pgvigil-controller/" PGVIGIL_VERSION;
    const char *headers[] = {
        "Accept: application/json",
        agent,
        patch ? "Content-Type: application/merge-patch+json" : "Content-Type: application/json",
        kube->authorization,
        NULL,
    };
    const struct http_request http = {
        .method = request->method,
        .url = url.overflow ? "" : text_str(&url),
        .headers = headers,
        .body = request->body != NULL ? text_str(&body) : NULL,
        .body_len = body.len,
        .timeout_ms = request->timeout_ms,
        .connect_timeout_ms = CONNECT_MS,
        .tls = kube->tls,
        .line = request->line,
    };
    return http_start(kube->http, &http, done, arg);
}

static enum err_code code_of(int status)
{
    if (status / 100 == 2)
        return ERR_OK;
    if (status == 404 || status == 410)
        return ERR_NOT_FOUND;
    if (status == 409)
        return ERR_CONFLICT;
    return status == 429 || status >= 500 ? ERR_UNREACHABLE : ERR_REFUSED;
}

enum err_code kube_outcome(struct kube *kube, const struct http_result *result, struct err *err)
{
    if (result->code != ERR_OK)
        return err_set(err, result->code, "kubernetes: %s", result->error);
    enum err_code code = code_of(result->status);
    if (code == ERR_OK)
        return ERR_OK;
    if (result->status == 401)
        source_arm_in(kube->timer, LOOK_AFTER_401_MS);
    auto_json json_t *status = NULL;
    (void)json_parse(result->body, result->body_len, "status", &status, NULL);
    const char *message = json_string_value(json_object_get(status, "message"));
    return err_set(err, code, "kubernetes: %d: %.300s", result->status,
                   message != NULL ? message : "no message");
}

enum err_code kube_answer(struct kube *kube, const struct http_result *result, const char *name,
                          json_t **ret_json, struct err *err)
{
    enum err_code code = kube_outcome(kube, result, err);
    return code != ERR_OK ? code : json_parse(result->body, result->body_len, name, ret_json, err);
}

void kube_add_query(struct text *to, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (isalnum((unsigned char)*c) || strchr("-._~", *c) != NULL)
            text_add_bytes(to, c, 1);
        else
            text_addf(to, "%%%02X", (unsigned char)*c);
    }
}
