#pragma once
/* Who may use the unsafe verbs (patroni-compat 2.1). Pure. */
#include <stdbool.h>

#include "sidecar/api/routes.h"
#include "sidecar/api/server.h"

struct origin {
    const char *address; /* of the client, as text: "10.0.0.7", "::1" */
    bool tls;
    bool client_certificate;   /* one was shown and verified */
    const char *authorization; /* the header; NULL: none */
};

/* In this order: allow-list, client certificate, basic authentication. True: granted; else
 * `ret_reply` is the refusal. */
bool access_granted(const struct api_settings *settings, const struct api_state *state,
                    const struct origin *origin, bool open_to_peers, struct reply *ret_reply);

/* Is the address in "a.b.c.d", "a.b.c.d/n", "::1", "fd00::/8"? Compares numbers, not texts; an IPv4
 * address that came over an IPv6 socket counts as IPv4. */
bool access_matches(const char *pattern, const char *address);
