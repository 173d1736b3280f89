/* External etcd: "skips all of this but the NOSPACE report" (design part 7). Its members are asked in
 * turn for what they say of themselves: at a sign of trouble, which a refused write is, and seldom
 * without one. */
#include <string.h>

#include "base/log.h"
#include "sidecar/sidecar_etcd_health.h"
#include "sidecar/sidecar_internal.h"

enum {
    CALM_MS = 30000,
    TROUBLE_MS = 5000, /* between questions while there is no space, or a sign of trouble */
    ASK_MS = 2000,
};

static const char no_space[] =
    "failover impossible: etcd's database space is exceeded (NOSPACE): compact it, defragment it and "
    "disarm the alarm";

static void on_status(void *arg, const struct etcd_status_result *result)
{
    struct sidecar *sidecar = arg;
    struct etcd_health *health = &sidecar->etcd_health;
    bool full = strstr(result->errors, "NOSPACE") != NULL;
    bool answered = result->outcome.code == ERR_OK;
    health->call = etcd_call_free(health->call);
    source_arm_in(health->timer, full || !answered ? TROUBLE_MS : CALM_MS);
    if (!answered || full == (health->trouble != NULL))
        return;
    health->trouble = full ? no_space : NULL;
    if (full)
        log_error("etcd: %s", no_space);
    else
        log_info("etcd: it has space again -> failover is possible");
    sidecar_stale(sidecar);
}

static void ask(void *arg)
{
    struct sidecar *sidecar = arg;
    struct etcd_health *health = &sidecar->etcd_health;
    size_t n = sidecar->config->etcd.endpoints.n;
    if (health->call != NULL)
        return;
    health->asked = loop_now(sidecar->loop);
    struct etcd_how how = { .timeout_ms = ASK_MS, .endpoint = (int)(health->turn++ % n) };
    health->call = etcd_status(sidecar->etcd, how, on_status, sidecar);
}

static void on_sign(void *arg)
{
    struct sidecar *sidecar = arg;
    struct etcd_health *health = &sidecar->etcd_health;
    if (health->call == NULL)
        source_arm_at(health->timer, mono_add(health->asked, TROUBLE_MS));
}

void sidecar_etcd_health_begin(struct sidecar *sidecar)
{
    if (sidecar->etcd_member != NULL || !sidecar->config->etcd.external)
        return;
    sidecar->etcd_health.timer = loop_timer(sidecar->loop, ask, sidecar);
    source_arm_in(sidecar->etcd_health.timer, TROUBLE_MS);
    etcd_on_sign(sidecar->etcd, on_sign, sidecar);
}

void sidecar_etcd_health_end(struct sidecar *sidecar)
{
    etcd_call_free(sidecar->etcd_health.call);
    source_free(sidecar->etcd_health.timer);
}
