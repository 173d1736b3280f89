#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http_internal.h"

struct http_tls {
    char *ca_file; /* all three NULL: made of memory */
    char *cert_file;
    char *key_file;
    char *ca;
    char *cert;
    char *key;
    char *key_password;
    bool insecure;
    bool any_name;
};

static char *copy_of(const char *pem)
{
    return pem != NULL && pem[0] != '\0' ? mem_strdup(pem) : NULL;
}

struct http_tls *http_tls_new(const struct http_tls_pem *pem)
{
    struct http_tls *tls = mem_struct(struct http_tls);
    tls->ca = copy_of(pem->ca);
    tls->cert = copy_of(pem->cert);
    tls->key = copy_of(pem->key);
    tls->insecure = pem->insecure;
    return tls;
}

static enum err_code read_pem(const char *path, char **ret_content, struct err *err)
{
    if (path == NULL)
        return ERR_OK;
    auto_text struct text content = text_new(LIMIT_FILE);
    enum err_code code = file_read(path, &content, err);
    if (code == ERR_OK)
        *ret_content = text_take(&content);
    return code;
}

/* Keys do not stay behind in freed memory. */
static void free_secret(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void free_content(struct http_tls *tls)
{
    free(tls->ca);
    free(tls->cert);
    free_secret(tls->key);
}

struct http_tls *http_tls_free(struct http_tls *tls)
{
    if (tls == NULL)
        return NULL;
    free_content(tls);
    free(tls->ca_file);
    free(tls->cert_file);
    free(tls->key_file);
    free_secret(tls->key_password);
    free(tls);
    return NULL;
}

enum err_code http_tls_reload(struct http_tls *tls, struct err *err)
{
    if (tls == NULL)
        return ERR_OK;
    struct http_tls read = { 0 };
    enum err_code code = read_pem(tls->ca_file, &read.ca, err);
    if (code == ERR_OK)
        code = read_pem(tls->cert_file, &read.cert, err);
    if (code == ERR_OK)
        code = read_pem(tls->key_file, &read.key, err);
    if (code != ERR_OK) {
        free_content(&read);
        return code;
    }
    if (read.ca == NULL && read.cert == NULL)
        return ERR_OK;
    free_content(tls);
    tls->ca = read.ca;
    tls->cert = read.cert;
    tls->key = read.key;
    return ERR_OK;
}

enum err_code http_tls_load(const struct http_tls_files *files, struct http_tls **ret_tls,
                            struct err *err)
{
    struct http_tls *tls = mem_struct(struct http_tls);
    tls->insecure = files->insecure;
    tls->any_name = files->any_name;
    tls->key_password = mem_strdup(files->key_password);
    tls->ca_file = mem_strdup(files->ca);
    tls->cert_file = mem_strdup(files->cert);
    tls->key_file = mem_strdup(files->key != NULL ? files->key : files->cert);
    enum err_code code = http_tls_reload(tls, err);
    if (code != ERR_OK) {
        http_tls_free(tls);
        return code;
    }
    *ret_tls = tls;
    return ERR_OK;
}

static void set_blob(CURL *easy, CURLoption option, char *content)
{
    if (content == NULL)
        return;
    struct curl_blob blob = { .data = content, .len = strlen(content), .flags = CURL_BLOB_COPY };
    curl_easy_setopt(easy, option, &blob);
}

void http_tls_apply(const struct http_tls *tls, CURL *easy)
{
    if (tls == NULL)
        return;
    set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca);
    set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert);
    set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
    if (tls->key_password != NULL)
        curl_easy_setopt(easy, CURLOPT_KEYPASSWD, tls->key_password);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->insecure ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->insecure || tls->any_name ? 0L : 2L);
}
