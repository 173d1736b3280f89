#pragma once
/* Asks the other members' REST API for their position: before a race in asynchronous mode, and
 * while a handover waits for the standby (AWAIT_RECEIVED). Only when the owner asks; all at once;
 * an answer that takes longer than a second is none (design part 4: unreachable peers do not
 * block). */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "loop/loop.h"
#include "sidecar/core/view.h"

struct peers;
struct http;
struct http_tls;

struct peers_spec {
    struct loop *loop;
    struct http *http;
    const struct http_tls *tls; /* of config.ctl, else of restapi; NULL: none; borrowed */
    const char *username;       /* NULL: none; copied */
    const char *password;
    loop_fn *changed; /* an answer came, or the round is over */
    void *arg;
};

struct peers *peers_new(const struct peers_spec *spec);
struct peers *peers_free(struct peers *peers);

/* Asks every peer of the view that has an api_url, unless it is being asked already or was within
 * `fresh_ms`. */
void peers_ask(struct peers *peers, const struct store_view *view, int64_t fresh_ms);
/* Fills asked, answered, in_recovery, position and timeline of the peers. An answer counts for 2 s
 * from when its request was sent. */
void peers_fill(const struct peers *peers, struct mono now, struct store_view *view);
/* All questions of the last peers_ask are answered or given up. */
bool peers_idle(const struct peers *peers);
