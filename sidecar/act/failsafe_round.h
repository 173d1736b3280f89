#pragma once
/* L6: while renewals have no answer, a primary asks every member of /failsafe to go on acknowledging
 * it: POST /failsafe to all at once, from a timer of its own beside the cycle. Where all accept, the
 * keeper holds the lease until send time + ttl; one refusal or one silence and the round was in vain,
 * the next one begins soon. After an accepted round the next one comes ttl/4 after its begin; a
 * renewal that counts ends it all. */
#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"
#include "loop/loop.h"
#include "sidecar/act/lease_keeper.h"

struct failsafe_round;
struct http;
struct http_tls;

struct failsafe_round_spec {
    struct loop *loop;
    struct http *http;
    const struct http_tls *tls; /* as for peers; NULL: none; borrowed */
    const char *username;       /* NULL: none; copied */
    const char *password;
    struct lease_keeper *keeper;
};

/* Who is asked, and with what; copied. */
struct failsafe_list {
    bool usable; /* false: there is no way round the lease (core/failsafe.h) */
    char name[LIMIT_NAME];
    char conn_url[LIMIT_URL];
    char api_url[LIMIT_URL];
    size_t n;
    struct failsafe_member {
        char name[LIMIT_NAME];
        char api_url[LIMIT_URL];
    } members[LIMIT_MEMBERS];
};

struct failsafe_round *failsafe_round_new(const struct failsafe_round_spec *spec);
struct failsafe_round *failsafe_round_free(struct failsafe_round *round);
/* In every cycle. A change drops the round that is under way. */
void failsafe_round_set(struct failsafe_round *round, const struct failsafe_list *list);
