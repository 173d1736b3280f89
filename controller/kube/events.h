#pragma once
/* Kubernetes Events. Best effort: one that cannot be written after some tries is dropped; the log has
 * it all the same. One with a name is written once, whoever tries. */
#include "controller/core/view.h"
#include "controller/kube/kube.h"

struct kube_events;

struct kube_events_spec {
    struct loop *loop;
    struct kube *kube;
    const char *ns;       /* borrowed, like all texts */
    const char *instance; /* reportingInstance */
    const char *release;  /* what an event without a pod is about: its StatefulSet */
};

struct kube_event_text {
    const char *name; /* unique in the namespace; NULL: one is made */
    const char *reason;
    const char *message;
    bool warning;
    const struct pod *pod; /* NULL: the release */
};

struct kube_events *kube_events_new(const struct kube_events_spec *spec);
struct kube_events *kube_events_free(struct kube_events *events);
/* Copied. */
void kube_events_add(struct kube_events *events, const struct kube_event_text *event);
