/* What the controller tells of itself: /healthz, /readyz, /metrics. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "controller/controller_internal.h"

static void metric(struct text *to, const char *name, const char *kind, const char *help,
                   int64_t value)
{
    text_addf(to, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", name, help, name, kind, name,
              value);
}

static int count_pods(const struct controller *controller, const char *label)
{
    int n = 0;
    for (size_t i = 0; i < controller->pods.pods.n; i++)
        n += strcmp(controller->pods.pods.pod[i].label, label) == 0;
    return n;
}

static void write_metrics(const struct controller *controller, struct text *to)
{
    const struct label_names *names = &controller->options->labels;
    const struct labeller_counts *counts = labeller_counts(controller->labeller);
    metric(to, "pgvigil_controller_active", "gauge", "1 if this controller holds the Lease.",
           kube_lease_held(controller->lease, clock_mono()));
    metric(to, "pgvigil_controller_pods_current", "gauge", "1 if the pods are listed and watched.",
           kube_watch_current(controller->pods_watch));
    metric(to, "pgvigil_controller_store_current", "gauge",
           "1 if etcd has told of the cluster within a second.", controller->store_known);
    metric(to, "pgvigil_controller_primaries", "gauge", "Pods with the label of the primary.",
           count_pods(controller, names->primary));
    metric(to, "pgvigil_controller_replicas", "gauge", "Pods with the label of a replica.",
           count_pods(controller, names->replica));
    metric(to, "pgvigil_controller_label_patches_total", "counter", "Label patches sent.",
           (int64_t)counts->sent);
    metric(to, "pgvigil_controller_label_failures_total", "counter", "Label patches that failed.",
           (int64_t)counts->failed);
    metric(to, "pgvigil_controller_label_last_milliseconds", "gauge",
           "Duration of the last label patch.", counts->last_ms);
    metric(to, "pgvigil_log_lines_dropped_total", "counter",
           "Log lines dropped because nobody read them.", (int64_t)log_dropped());
}

int controller_status(void *arg, const char *path, struct text *to)
{
    const struct controller *controller = arg;
    if (strcmp(path, "/healthz") == 0 || strcmp(path, "/livez") == 0) {
        text_add(to, "ok\n"); /* the loop runs: that is all that a restart could mend */
        return 200;
    }
    if (strcmp(path, "/readyz") == 0) {
        bool ready = kube_watch_current(controller->pods_watch);
        text_addf(to, "%s, %s\n", ready ? "pods are watched" : "the Kubernetes API does not answer",
                  kube_lease_held(controller->lease, clock_mono()) ? "active" : "standing by");
        return ready ? 200 : 503;
    }
    if (strcmp(path, "/metrics") == 0) {
        write_metrics(controller, to);
        return 200;
    }
    text_add(to, "/healthz, /readyz, /metrics\n");
    return 404;
}

int controller_port(const struct controller *controller)
{
    return status_server_port(controller->status);
}
