/* User and password become a token. All calls wait for one login; a token that was refused is
 * forgotten, which makes the next call log in again. */
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "etcd_internal.h"

enum { LOGIN_MS = 3000 };

bool login_needed(const struct etcd *etcd)
{
    return etcd->user != NULL && etcd->token == NULL && !etcd->login_useless;
}

void login_forget(struct etcd *etcd)
{
    if (etcd->token != NULL)
        explicit_bzero(etcd->token, strlen(etcd->token));
    free(etcd->token);
    etcd->token = NULL;
    etcd->login_useless = false;
}

static struct etcd_call *next_waiting(const struct etcd *etcd)
{
    for (struct etcd_call *call = etcd->first; call != NULL; call = call->next)
        if (call->state == CALL_WAITS_LOGIN)
            return call;
    return NULL;
}

static void start_login(struct etcd *etcd);

/* No owner runs in here: call_go_on and call_fail only prepare. */
static void on_login(struct etcd_call *login, const struct etcd_outcome *outcome,
                     const json_t *reply)
{
    struct etcd *etcd = login->etcd;
    struct etcd_call *call;
    etcd->login = NULL;
    const char *token = json_string_value(json_object_get(reply, "token"));
    if (outcome->code == ERR_OK && token != NULL)
        etcd->token = mem_strdup(token);
    else if (outcome->code != ERR_OK && strstr(outcome->error, "authentication is not enabled"))
        etcd->login_useless = true;
    bool refused = outcome->code != ERR_UNREACHABLE && outcome->code != ERR_TIMEOUT;
    while (refused && (call = next_waiting(etcd)) != NULL) {
        if (login_needed(etcd))
            call_fail(call, ETCD_FAIL_LOGIN, ERR_REFUSED, outcome->error);
        else
            call_go_on(call);
    }
    if (next_waiting(etcd) != NULL)
        start_login(etcd);
    etcd_call_free(login);
}

static void start_login(struct etcd *etcd)
{
    auto_text struct text body = text_new(LIMIT_HTTP_HEADER);
    text_add(&body, "{\"name\":");
    json_write_string(&body, etcd->user);
    text_add(&body, ",\"password\":");
    json_write_string(&body, etcd->password == NULL ? "" : etcd->password);
    text_add(&body, "}");
    struct call_spec spec = { .path = "/v3/auth/authenticate",
                              .body = &body,
                              .read = true, /* a second token does no harm */
                              .login = true,
                              .reply = on_login };
    etcd->login = call_start(etcd, &spec, (struct etcd_how){ LOGIN_MS, ETCD_ANY });
}

void login_wait(struct etcd_call *call)
{
    if (call->etcd->login == NULL)
        start_login(call->etcd);
}
