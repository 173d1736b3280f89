#pragma once
/* What an etcd that is not ours says of itself (E5); nothing where its members are managed. */
#include <stddef.h>

#include "base/instant.h"
#include "etcd/members.h"
#include "loop/loop.h"

struct sidecar;

struct etcd_health {
    struct source *timer;
    struct etcd_call *call;
    size_t turn;
    struct mono asked;
    const char *trouble; /* what a person must know, for as long as the program runs; NULL: none */
};

void sidecar_etcd_health_begin(struct sidecar *sidecar);
void sidecar_etcd_health_end(struct sidecar *sidecar);
