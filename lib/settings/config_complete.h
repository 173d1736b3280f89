#pragma once
/* What the rows of the option table cannot say: what follows from several values, and what is wrong
 * with them together. */
#include <stdbool.h>

#include "settings/config.h"

/* Fills defaults that depend on other values and checks everything. Errors: ERR_INVALID, with the
 * path of the key and what to do. */
enum err_code config_complete(struct config *config, bool witness, struct text *warnings,
                              struct err *err);
/* The members of managed etcd, and how to reach etcd whoever runs it. */
enum err_code config_complete_etcd(struct config *config, struct text *warnings, struct err *err);
