/* StatefulSet, witness's Deployment and the primary's node, read one after the other. */
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "controller/fleet_internal.h"

enum { LOOK_MS = 3000, ANSWER_MS = 5000 };

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static int number_at(const json_t *object, const char *key)
{
    return (int)json_integer_value(json_object_get(object, key));
}

/* The controller of this kind has seen the object as it is now. */
static bool is_observed(const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const json_t *status = json_object_get(object, "status");
    return number_at(status, "observedGeneration") >= number_at(metadata, "generation");
}

static const char *stamp_of(const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    return text_at(json_object_get(metadata, "annotations"), "pgvigil/revision");
}

static void take_set(struct fleet *fleet, const json_t *object)
{
    fleet->set_known = object != NULL && is_observed(object);
    if (!fleet->set_known)
        return;
    fleet->replicas = number_at(json_object_get(object, "spec"), "replicas");
    (void)text_copy(fleet->revision, sizeof(fleet->revision),
                    text_at(json_object_get(object, "status"), "updateRevision"));
    (void)text_copy(fleet->stamp, sizeof(fleet->stamp), stamp_of(object));
    /* The pods' label is the revision itself. */
    fleet->set_known = fleet->revision[0] != '\0';
}

static void take_witness(struct fleet *fleet, const json_t *object)
{
    fleet->witness_known = true;
    fleet->witness_exists = object != NULL;
    if (object == NULL)
        return;
    const json_t *status = json_object_get(object, "status");
    int replicas = number_at(json_object_get(object, "spec"), "replicas");
    fleet->witness_complete = is_observed(object) &&
                              number_at(status, "updatedReplicas") == replicas &&
                              number_at(status, "replicas") == replicas &&
                              number_at(status, "availableReplicas") == replicas;
    (void)text_copy(fleet->witness_stamp, sizeof(fleet->witness_stamp), stamp_of(object));
}

static void take_node(struct fleet *fleet, const json_t *object)
{
    fleet->cordoned =
        json_is_true(json_object_get(json_object_get(object, "spec"), "unschedulable"));
    (void)text_copy(fleet->node, sizeof(fleet->node),
                    text_at(json_object_get(object, "metadata"), "name"));
}

static void take_object(struct fleet *fleet, const json_t *object)
{
    switch (fleet->object) {
    case FLEET_SET:
        take_set(fleet, object);
        break;
    case FLEET_WITNESS:
        take_witness(fleet, object);
        break;
    case FLEET_NODE:
        take_node(fleet, object);
        break;
    case FLEET_OBJECTS:
        break;
    }
}

static void look_next(struct fleet *fleet);

static void on_object(void *arg, const struct http_result *result)
{
    struct fleet *fleet = arg;
    struct err err;
    auto_json json_t *object = NULL;
    fleet->look = http_call_free(fleet->look);
    enum err_code code = kube_answer(fleet->controller->kube, result, "object", &object, &err);
    if (code == ERR_OK || code == ERR_NOT_FOUND)
        take_object(fleet, object);
    else
        log_debug("fleet: %s", err.text);
    fleet->object++;
    look_next(fleet);
}

/* False: there is nothing to read. */
static bool path_of(const struct fleet *fleet, struct text *path)
{
    const struct controller *controller = fleet->controller;
    const char *release = controller->options->release;
    const struct pod *primary = pods_named(&controller->pods.pods, controller->primary);
    switch (fleet->object) {
    case FLEET_SET:
        text_addf(path, "/apis/apps/v1/namespaces/%s/statefulsets/%s", controller->ns, release);
        return true;
    case FLEET_WITNESS:
        text_addf(path, "/apis/apps/v1/namespaces/%s/deployments/%s-witness", controller->ns,
                  release);
        return true;
    case FLEET_NODE:
        if (!controller->options->watch_nodes || primary == NULL || primary->node[0] == '\0')
            return false;
        text_addf(path, "/api/v1/nodes/%s", primary->node);
        return true;
    case FLEET_OBJECTS:
        break;
    }
    return false;
}

static void look_next(struct fleet *fleet)
{
    auto_text struct text path = text_new(LIMIT_PATH);
    if (fleet->object == FLEET_OBJECTS || !path_of(fleet, &path)) {
        source_arm_in(fleet->timer, LOOK_MS);
        controller_wake(fleet->controller);
        return;
    }
    const struct kube_request request = { .path = text_str(&path), .timeout_ms = ANSWER_MS };
    fleet->look = kube_send(fleet->controller->kube, &request, on_object, fleet);
}

void fleet_look_begin(struct fleet *fleet)
{
    if (fleet->look != NULL)
        return;
    if (!fleet->controller->writes) { /* what is known grows old */
        fleet->set_known = false;
        fleet->witness_known = false;
        source_arm_in(fleet->timer, LOOK_MS);
        return;
    }
    fleet->object = FLEET_SET;
    look_next(fleet);
}
