/* Requests to our REST API, as the server hands them to the handlers: asked of a leader (l), a standby
 * (s), a witness (w); the first line is method, path and query, the rest is the body. Besides, an
 * Authorization header (a), and an entry of the allow-list with an address on the next line (i). */
#include "fuzz.h"

#include "sidecar/api/access.h"
#include "tests/unit/support/api_stub.h"
#include "json/json.h"

static void fuzz_request(uint8_t who, char *bytes)
{
    struct api_stub stub;
    if (who == 'l')
        api_stub_leader(&stub);
    else if (who == 's')
        api_stub_standby(&stub);
    else
        api_stub_witness(&stub);
    char *body = strchr(bytes, '\n');
    if (body != NULL)
        *body++ = '\0';
    const char *blank = strchr(bytes, ' ');
    if (blank == NULL || blank[1] != '/')
        return;
    struct reply reply = api_stub_ask(&stub, bytes, body);
    if (reply.order.kind == API_NONE) {
        FUZZ_HOLDS(reply.status >= 200 && reply.status < 600);
        json_t *json = NULL;
        FUZZ_HOLDS(reply.kind != REPLY_JSON ||
                   json_parse(reply.body, strlen(reply.body), "reply", &json, NULL) == ERR_OK);
        json_decref(json);
    }
    reply_done(&reply);
}

static void fuzz_authorization(const char *header)
{
    const struct api_settings settings = { .username = "user", .password = "password" };
    const struct origin origin = { .address = "10.0.0.1", .authorization = header };
    struct api_stub stub;
    struct reply reply = { 0 };
    api_stub_leader(&stub);
    bool granted = access_granted(&settings, &stub.state, &origin, true, &reply);
    /* "user:password"; the last bits of its base64 may be anything. */
    FUZZ_HOLDS(!granted || strstr(header, "dXNlcjpwYXNzd29yZ") != NULL);
    if (!granted)
        reply_done(&reply);
}

static void fuzz_allowed(char *bytes)
{
    char *address = strchr(bytes, '\n');
    if (address == NULL)
        return;
    *address++ = '\0';
    (void)access_matches(bytes, address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *bytes = fuzz_text(data + 1, size - 1);
    if (data[0] == 'l' || data[0] == 's' || data[0] == 'w')
        fuzz_request(data[0], bytes);
    else if (data[0] == 'a')
        fuzz_authorization(bytes);
    else if (data[0] == 'i')
        fuzz_allowed(bytes);
    free(bytes);
    return 0;
}
