#include "controller/kube/secret.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/mem.h"
#include "etcd/codec.h"

enum { REQUEST_MS = 5000 };

struct kube_secret {
    struct kube_secret_spec spec;
    char *path; /* of the collection */
    char *name;
    char *type;
    char *version; /* as read; NULL: it is absent */
    struct http_call *call;
};

static void read_secret(struct kube_secret *secret);

/* The texts of `data`; new reference. What is not base64 is left out. */
static json_t *decode(const json_t *object)
{
    json_t *texts = json_object();
    const char *key;
    json_t *value;
    json_object_foreach (json_object_get(object, "data"), key, value) {
        const char *encoded = json_string_value(value);
        if (encoded == NULL)
            continue;
        size_t len = strlen(encoded);
        auto_free char *text = mem_new(len / 4 * 3 + 4);
        if (codec_base64(encoded, len, text, &len, NULL) == ERR_OK)
            json_object_set_new(texts, key, json_string(text));
    }
    return texts;
}

static void finish(struct kube_secret *secret, const json_t *data, const struct err *err)
{
    secret->spec.done(secret->spec.arg, data, err);
}

static void on_written(void *arg, const struct http_result *result)
{
    struct kube_secret *secret = arg;
    struct err err;
    auto_json json_t *object = NULL;
    secret->call = http_call_free(secret->call);
    enum err_code code = kube_answer(secret->spec.kube, result, "secret", &object, &err);
    if (code == ERR_CONFLICT) { /* somebody else was first: what has come of it? */
        read_secret(secret);
        return;
    }
    auto_json json_t *data = code == ERR_OK ? decode(object) : NULL;
    finish(secret, data, code == ERR_OK ? NULL : &err);
}

static void write_secret(struct kube_secret *secret, json_t *texts)
{
    auto_text struct text path = text_new(LIMIT_PATH);
    text_add(&path, secret->path);
    if (secret->version != NULL)
        text_addf(&path, "/%s", secret->name);
    text_add(&path, "?fieldManager=pgvigil-controller");
    auto_json json_t *body =
        json_pack("{s:s,s:s,s:{s:s,s:s*},s:O}", "apiVersion", "v1", "kind", "Secret", "metadata",
                  "name", secret->name, "resourceVersion", secret->version, "stringData", texts);
    if (secret->version == NULL)
        json_object_set_new(body, "type", json_string(secret->type));
    const struct kube_request request = { .method = secret->version != NULL ? "PATCH" : "POST",
                                          .path = text_str(&path),
                                          .body = body,
                                          .timeout_ms = REQUEST_MS };
    secret->call = kube_send(secret->spec.kube, &request, on_written, secret);
}

static void on_read(void *arg, const struct http_result *result)
{
    struct kube_secret *secret = arg;
    struct err err;
    auto_json json_t *object = NULL;
    secret->call = http_call_free(secret->call);
    enum err_code code = kube_answer(secret->spec.kube, result, "secret", &object, &err);
    if (code != ERR_OK && code != ERR_NOT_FOUND) {
        finish(secret, NULL, &err);
        return;
    }
    auto_json json_t *data = object != NULL ? decode(object) : NULL;
    free(secret->version);
    const json_t *metadata = json_object_get(object, "metadata");
    secret->version = mem_strdup(json_string_value(json_object_get(metadata, "resourceVersion")));
    auto_json json_t *news = secret->spec.fn(secret->spec.arg, data);
    if (news == NULL)
        finish(secret, data, NULL);
    else
        write_secret(secret, news);
}

static void read_secret(struct kube_secret *secret)
{
    auto_text struct text path = text_new(LIMIT_PATH);
    text_addf(&path, "%s/%s", secret->path, secret->name);
    const struct kube_request request = { .path = text_str(&path), .timeout_ms = REQUEST_MS };
    secret->call = kube_send(secret->spec.kube, &request, on_read, secret);
}

struct kube_secret *kube_secret_new(const struct kube_secret_spec *spec)
{
    struct kube_secret *secret = mem_struct(struct kube_secret);
    struct text path = text_new(LIMIT_PATH);
    text_addf(&path, "/api/v1/namespaces/%s/secrets", spec->ns);
    secret->spec = *spec;
    secret->path = text_take(&path);
    secret->name = mem_strdup(spec->name);
    secret->type = mem_strdup(spec->type);
    read_secret(secret);
    return secret;
}

struct kube_secret *kube_secret_free(struct kube_secret *secret)
{
    if (secret == NULL)
        return NULL;
    http_call_free(secret->call);
    free(secret->path);
    free(secret->name);
    free(secret->type);
    free(secret->version);
    free(secret);
    return NULL;
}
