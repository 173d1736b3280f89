#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "etcd_internal.h"

struct etcd *etcd_new(struct loop *loop, struct http *http, const struct etcd_config *config)
{
    struct etcd *etcd = mem_struct(struct etcd);
    etcd->loop = loop;
    etcd->http = http;
    etcd->tls = config->tls;
    etcd->current = ETCD_ANY;
    etcd_set_endpoints(etcd, config->endpoints);
    etcd_set_login(etcd, config->user, config->password);
    return etcd;
}

static void forget_password(struct etcd *etcd)
{
    if (etcd->password != NULL)
        explicit_bzero(etcd->password, strlen(etcd->password));
    free(etcd->password);
    free(etcd->user);
    login_forget(etcd);
}

struct etcd *etcd_free(struct etcd *etcd)
{
    if (etcd == NULL)
        return NULL;
    while (etcd->first != NULL)
        etcd_call_free(etcd->first);
    for (int i = 0; i < LIMIT_ENDPOINTS; i++)
        free(etcd->endpoints[i].url);
    forget_password(etcd);
    free(etcd);
    return NULL;
}

void etcd_set_login(struct etcd *etcd, const char *user, const char *password)
{
    char *new_user = mem_strdup(user);
    char *new_password = mem_strdup(password);
    forget_password(etcd);
    etcd->user = new_user;
    etcd->password = new_password;
}

/* --- endpoints --- */

static size_t url_len(const char *url)
{
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    return len;
}

static bool same_url(const char *kept, const char *url)
{
    return strlen(kept) == url_len(url) && strncmp(kept, url, url_len(url)) == 0;
}

int etcd_endpoint_find(const struct etcd *etcd, const char *url)
{
    for (int i = 0; i < LIMIT_ENDPOINTS; i++)
        if (etcd->endpoints[i].url != NULL && same_url(etcd->endpoints[i].url, url))
            return i;
    return ETCD_ANY;
}

static bool listed(const char *const *endpoints, const char *kept)
{
    for (size_t i = 0; endpoints != NULL && endpoints[i] != NULL; i++)
        if (same_url(kept, endpoints[i]))
            return true;
    return false;
}

static void add_endpoint(struct etcd *etcd, const char *url)
{
    for (int i = 0; i < LIMIT_ENDPOINTS; i++) {
        if (etcd->endpoints[i].url == NULL) {
            etcd->endpoints[i].url = mem_strndup(url, url_len(url));
            return;
        }
    }
}

void etcd_set_endpoints(struct etcd *etcd, const char *const *endpoints)
{
    for (int i = 0; i < LIMIT_ENDPOINTS; i++) {
        char *url = etcd->endpoints[i].url;
        if (url != NULL && !listed(endpoints, url)) {
            free(url);
            etcd->endpoints[i].url = NULL;
        }
    }
    for (size_t i = 0; endpoints != NULL && endpoints[i] != NULL; i++)
        if (etcd_endpoint_find(etcd, endpoints[i]) == ETCD_ANY)
            add_endpoint(etcd, endpoints[i]);
    if (etcd_endpoint_url(etcd, etcd->current) == NULL)
        etcd->current = etcd_endpoint_after(etcd, etcd->current);
}

const char *etcd_endpoint_url(const struct etcd *etcd, int endpoint)
{
    bool possible = endpoint >= 0 && endpoint < LIMIT_ENDPOINTS;
    return possible ? etcd->endpoints[endpoint].url : NULL;
}

int etcd_endpoint_current(const struct etcd *etcd)
{
    return etcd->current;
}

int etcd_endpoint_after(const struct etcd *etcd, int endpoint)
{
    for (int step = 1; step <= LIMIT_ENDPOINTS; step++) {
        int next = (endpoint + step) % LIMIT_ENDPOINTS;
        if (next >= 0 && etcd->endpoints[next].url != NULL)
            return next;
    }
    return ETCD_ANY;
}

void etcd_endpoint_prefer(struct etcd *etcd, int endpoint)
{
    if (etcd_endpoint_url(etcd, endpoint) != NULL)
        etcd->current = endpoint;
}

void etcd_on_sign(struct etcd *etcd, loop_fn *fn, void *arg)
{
    etcd->sign = fn;
    etcd->sign_arg = arg;
}

void etcd_sign(struct etcd *etcd)
{
    if (etcd->sign != NULL)
        etcd->sign(etcd->sign_arg);
}

void term_seen(struct etcd *etcd, uint64_t term)
{
    if (term <= etcd->term)
        return;
    etcd->term = term;
    etcd_sign(etcd);
}

void endpoint_failed(struct etcd *etcd, int endpoint)
{
    etcd_sign(etcd);
    if (etcd->current == endpoint)
        etcd->current = etcd_endpoint_after(etcd, endpoint);
}

uint64_t etcd_requests(const struct etcd *etcd)
{
    return etcd->requests;
}
