/* Allow-list, client certificate, basic authentication: in this order (patroni-compat 2.1). */
#include "sidecar/api/access.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "json/json.h"

/* An address as 16 bytes; IPv4 in its mapped form. */
static bool parse_address(const char *text, size_t len, unsigned char ret_bytes[16], bool *ret_v4)
{
    char copy[INET6_ADDRSTRLEN];
    if (len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    memcpy(ret_bytes, mapped, sizeof(mapped));
    *ret_v4 = inet_pton(AF_INET, copy, ret_bytes + 12) == 1;
    if (*ret_v4)
        return true;
    return inet_pton(AF_INET6, copy, ret_bytes) == 1;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    if (bits % 8 == 0)
        return true;
    unsigned char mask = (unsigned char)(0xff << (8 - bits % 8));
    return ((a[whole] ^ b[whole]) & mask) == 0;
}

bool access_matches(const char *pattern, const char *address)
{
    unsigned char want[16], have[16];
    bool want_v4, have_v4;
    size_t len = strcspn(pattern, "/");
    unsigned bits = 128;
    if (!parse_address(pattern, len, want, &want_v4) ||
        !parse_address(address, strlen(address), have, &have_v4))
        return false;
    if (pattern[len] == '/') {
        char end;
        if (sscanf(pattern + len + 1, "%u%c", &bits, &end) != 1)
            return false;
        bits += want_v4 ? 96 : 0;
        if (bits > 128)
            return false;
    }
    return same_bits(want, have, bits);
}

/* "http://10.0.0.7:8008/patroni", "https://[::1]:8008/…" names this address. */
static bool url_has_address(const char *url, const char *address)
{
    const char *host = strstr(url, "://");
    if (host == NULL)
        return false;
    host += 3;
    size_t len = strcspn(host, ":/");
    if (*host == '[') {
        host++;
        len = strcspn(host, "]");
    }
    char pattern[LIMIT_URL];
    if (len >= sizeof(pattern))
        return false;
    memcpy(pattern, host, len);
    pattern[len] = '\0';
    return access_matches(pattern, address);
}

static bool member_has_address(const struct api_state *state, const char *address)
{
    for (size_t i = 0; i < state->store.n_members; i++) {
        auto_json json_t *member = NULL;
        const char *json = state->store.members[i].json;
        if (json_parse(json, strlen(json), "member", &member, NULL) != ERR_OK)
            continue;
        const char *url = json_string_value(json_object_get(member, "api_url"));
        if (url != NULL && url_has_address(url, address))
            return true;
    }
    return false;
}

static bool allowed(const struct api_settings *settings, const struct api_state *state,
                    const char *address, bool open_to_peers)
{
    if (settings->n_allowlist == 0 && !settings->allowlist_include_members)
        return true;
    for (size_t i = 0; i < settings->n_allowlist; i++)
        if (access_matches(settings->allowlist[i], address))
            return true;
    return open_to_peers && settings->allowlist_include_members &&
           member_has_address(state, address);
}

/* Compared in constant time; lengths may be learned. */
static bool same_secret(const char *a, size_t a_len, const char *b)
{
    size_t b_len = strlen(b);
    return a_len == b_len && CRYPTO_memcmp(a, b, a_len) == 0;
}

static bool authenticated(const struct api_settings *settings, const char *header)
{
    static const char scheme[] = "Basic ";
    unsigned char decoded[768];
    if (strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
        return false;
    const char *code = header + sizeof(scheme) - 1;
    size_t len = strlen(code);
    if (len == 0 || len % 4 != 0 || len / 4 * 3 > sizeof(decoded))
        return false;
    int n = EVP_DecodeBlock(decoded, (const unsigned char *)code, (int)len);
    if (n < 0)
        return false;
    n -= code[len - 1] == '=' ? 1 : 0;
    n -= code[len - 2] == '=' ? 1 : 0;
    const char *user = (const char *)decoded;
    const char *colon = memchr(user, ':', (size_t)n);
    if (colon == NULL)
        return false;
    size_t user_len = (size_t)(colon - user);
    bool user_ok = same_secret(user, user_len, settings->username);
    const char *password = settings->password != NULL ? settings->password : "";
    return same_secret(colon + 1, (size_t)n - user_len - 1, password) && user_ok;
}

static struct reply refuse_login(const char *text)
{
    struct reply reply = reply_text(401, text);
    reply.header = "WWW-Authenticate";
    text_copy(reply.header_value, sizeof(reply.header_value), "Basic realm=\"Patroni\"");
    return reply;
}

bool access_granted(const struct api_settings *settings, const struct api_state *state,
                    const struct origin *origin, bool open_to_peers, struct reply *ret_reply)
{
    if (!allowed(settings, state, origin->address, open_to_peers)) {
        *ret_reply = reply_text(403, "Access is denied");
        return false;
    }
    if (origin->tls && settings->verify_client != API_VERIFY_NONE && !origin->client_certificate) {
        *ret_reply = reply_text(403, "client certificate required");
        return false;
    }
    if (settings->username == NULL)
        return true;
    if (origin->authorization == NULL) {
        *ret_reply = refuse_login("no auth header received");
        return false;
    }
    if (!authenticated(settings, origin->authorization)) {
        *ret_reply = refuse_login("not authenticated");
        return false;
    }
    return true;
}
