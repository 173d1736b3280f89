#pragma once
/* The controller as a whole: observe (pods, cluster), decide (core/), write. Built by main, run by the
 * loop. */
#include "base/err.h"
#include "controller/options.h"
#include "loop/loop.h"

struct controller;

/* `options` is borrowed. Errors: what is wrong with the configuration or the credentials. */
enum err_code controller_new(struct loop *loop, const struct options *options,
                             struct controller **ret_controller, struct err *err);
/* Hands the Lease back, then stops the loop, after a second at most. */
void controller_stop(struct controller *controller);
struct controller *controller_free(struct controller *controller);

/* Of /metrics, /healthz and /readyz. */
int controller_port(const struct controller *controller);
