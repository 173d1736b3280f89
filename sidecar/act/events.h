#pragma once
/* `pgvigil/events/00` to `63`: the ring of what happened in the cluster, written by all members,
 * read by people and by the controller (design part 8 and 9). An event is
 * {"n":1234,"at":"2026-01-31T23:59:59.123456+00:00","member":"a","kind":"failover","text":"…"};
 * n counts up over all members, its slot is n modulo LIMIT_EVENTS. */
#include "sidecar/cluster.h"

struct events;

struct events *events_new(struct loop *loop, struct etcd *etcd, struct cluster *cluster);
struct events *events_free(struct events *events);
/* Never fails. Waits in memory while the store is away; the oldest is dropped where LIMIT_EVENTS
 * wait. */
void events_add(struct events *events, const char *kind, const char *text);
