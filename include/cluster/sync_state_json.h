#pragma once
/* The key sync: {"leader":text|null,"quorum":int,"sync_standby":"a,b"|null}. */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "cluster/sync_state.h"

/* `mod_revision` is the key's. Errors: ERR_PROTOCOL, ERR_LIMIT (a name or a member too many: leaving
 * one out could make somebody promote who lacks a commit, S1). */
enum err_code sync_state_from_json(const char *bytes, size_t len, int64_t mod_revision,
                                   struct sync_state *ret_sync, struct err *err);
/* Leader, quorum and standbys as Patroni writes them. */
void sync_state_write(struct text *to, const struct sync_state *sync);
