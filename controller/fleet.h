#pragma once
/* The pods as a whole: the roll (core/roll.h), the switchover away from a cordoned node, and what is
 * left of members that were scaled in. Reads StatefulSet, Deployment and the primary's node at its
 * own pace; does one thing at a time. */
#include "controller/core/view.h"

struct controller;
struct fleet;

struct fleet *fleet_new(struct controller *controller);
struct fleet *fleet_free(struct fleet *fleet);
/* The client of etcd goes: what is under way there is given up. NULL is fine. */
void fleet_drop(struct fleet *fleet);
/* Called by the active controller in each cycle. */
void fleet_step(struct fleet *fleet, const struct cluster_view *cluster);
