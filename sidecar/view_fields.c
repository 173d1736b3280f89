/* What a recorded view consists of. A field that is added to the view and forgotten here fails the
 * test that compares a filled view with its copy. */
#include "sidecar/view_fields.h"

#include <stddef.h>

#define AT(parent, kind, member)                                                                   \
    { .name = #member, .type = (kind), .offset = offsetof(parent, member) }
#define TEXT_AT(parent, member)                                                                    \
    { .name = #member,                                                                             \
      .type = FIELD_TEXT,                                                                          \
      .offset = offsetof(parent, member),                                                          \
      .size = sizeof(((parent *)NULL)->member) }
#define WORD_AT(parent, member, list)                                                              \
    { .name = #member,                                                                             \
      .type = FIELD_WORD,                                                                          \
      .offset = offsetof(parent, member),                                                          \
      .words = (list),                                                                             \
      .max = sizeof(list) / sizeof((list)[0]) }
#define STRUCT_AT(parent, member, table)                                                           \
    { .name = #member, .type = FIELD_STRUCT, .offset = offsetof(parent, member), .fields = (table) }
#define LIST_AT(parent, member, count, table)                                                      \
    { .name = #member,                                                                             \
      .type = FIELD_LIST,                                                                          \
      .offset = offsetof(parent, member),                                                          \
      .fields = (table),                                                                           \
      .size = sizeof(((parent *)NULL)->member[0]),                                                 \
      .count_offset = offsetof(parent, count),                                                     \
      .count_size = sizeof(((parent *)NULL)->count),                                               \
      .max = sizeof(((parent *)NULL)->member) / sizeof(((parent *)NULL)->member[0]) }
#define END { .name = NULL }

static const char *const data_dirs[] = { [DATA_DIR_UNKNOWN] = "unknown",
                                         [DATA_DIR_EMPTY] = "empty",
                                         [DATA_DIR_FRESH] = "fresh",
                                         [DATA_DIR_VALID] = "valid",
                                         [DATA_DIR_BROKEN] = "broken" };
static const char *const pg_states[] = {
    [PG_DOWN] = "down", [PG_STARTING] = "starting", [PG_UP] = "up", [PG_STOPPING] = "stopping"
};
static const char *const ssn_kinds[] = {
    [SSN_EMPTY] = "empty", [SSN_NOBODY] = "nobody", [SSN_NAMES] = "names", [SSN_FOREIGN] = "foreign"
};
#define STATE_WORD(name, text) [MEMBER_##name] = (text),
static const char *const member_states[] = { MEMBER_STATES(STATE_WORD)[MEMBER_STATE_UNKNOWN] =
                                                 "unknown" };
static const char *const member_roles[] = { [MEMBER_ROLE_UNINITIALIZED] = "uninitialized",
                                            [MEMBER_ROLE_REPLICA] = "replica",
                                            [MEMBER_ROLE_PRIMARY] = "primary",
                                            [MEMBER_ROLE_DEMOTED] = "demoted" };

static const struct field entry_fields[] = {
    AT(struct timeline_entry, FIELD_U32, tli),
    AT(struct timeline_entry, FIELD_LSN, switch_at),
    END,
};

static const struct field timeline_fields[] = {
    AT(struct timeline, FIELD_U32, tli),
    LIST_AT(struct timeline, entries, n, entry_fields),
    END,
};

static const struct field walsender_fields[] = {
    TEXT_AT(struct walsender, name),
    AT(struct walsender, FIELD_BOOL, streaming),
    AT(struct walsender, FIELD_BOOL, only_one),
    AT(struct walsender, FIELD_BOOL, holds_slot),
    AT(struct walsender, FIELD_BOOL, sync),
    AT(struct walsender, FIELD_INT, sync_priority),
    AT(struct walsender, FIELD_LSN, flush),
    END,
};

static const struct field pg_fields[] = {
    WORD_AT(struct pg_view, state, pg_states),
    WORD_AT(struct pg_view, dir, data_dirs),
    AT(struct pg_view, FIELD_ID, system_id),
    AT(struct pg_view, FIELD_BOOL, in_recovery),
    STRUCT_AT(struct pg_view, timeline, timeline_fields),
    AT(struct pg_view, FIELD_LSN, position),
    AT(struct pg_view, FIELD_BOOL, clean_stop),
    AT(struct pg_view, FIELD_BOOL, was_primary),
    AT(struct pg_view, FIELD_BOOL, wal_read),
    AT(struct pg_view, FIELD_LSN, wal_whole),
    AT(struct pg_view, FIELD_BOOL, rewinding),
    AT(struct pg_view, FIELD_UNSIGNED, start_failures),
    AT(struct pg_view, FIELD_MONO, state_since),
    TEXT_AT(struct pg_view, upstream),
    AT(struct pg_view, FIELD_BOOL, streaming),
    AT(struct pg_view, FIELD_BOOL, replay_held),
    AT(struct pg_view, FIELD_BOOL, follow_stuck),
    AT(struct pg_view, FIELD_BOOL, wal_missing),
    AT(struct pg_view, FIELD_BOOL, archive),
    WORD_AT(struct pg_view, ssn, ssn_kinds),
    AT(struct pg_view, FIELD_NAMES, ssn_names),
    WORD_AT(struct pg_view, ssn_disk, ssn_kinds),
    AT(struct pg_view, FIELD_NAMES, ssn_disk_names),
    AT(struct pg_view, FIELD_UNSIGNED, waiters),
    AT(struct pg_view, FIELD_MONO, progress_at),
    LIST_AT(struct pg_view, walsenders, n_walsenders, walsender_fields),
    AT(struct pg_view, FIELD_BOOL, checkpointed),
    AT(struct pg_view, FIELD_BOOL, pending_reload),
    AT(struct pg_view, FIELD_BOOL, slots_differ),
    END,
};

static const struct field guard_fields[] = {
    AT(struct guard_view, FIELD_BOOL, connected),
    AT(struct guard_view, FIELD_BOOL, dead),
    AT(struct guard_view, FIELD_BOOL, tree_alive),
    AT(struct guard_view, FIELD_BOOL, has_deadline),
    AT(struct guard_view, FIELD_MONO, deadline),
    AT(struct guard_view, FIELD_BOOL, lifted),
    AT(struct guard_view, FIELD_I64, lease_id),
    AT(struct guard_view, FIELD_I64, create_revision),
    AT(struct guard_view, FIELD_BOOL, stop_requested),
    END,
};

static const struct field tag_fields[] = {
    TEXT_AT(struct tag, name),
    TEXT_AT(struct tag, value),
    END,
};

static const struct field tags_fields[] = {
    AT(struct tags, FIELD_BOOL, nofailover),       AT(struct tags, FIELD_BOOL, nosync),
    AT(struct tags, FIELD_BOOL, clonefrom),        AT(struct tags, FIELD_BOOL, noloadbalance),
    AT(struct tags, FIELD_INT, failover_priority), AT(struct tags, FIELD_INT, sync_priority),
    LIST_AT(struct tags, all, n, tag_fields),      END,
};

static const struct field member_fields[] = {
    TEXT_AT(struct member, name),
    TEXT_AT(struct member, conn_url),
    TEXT_AT(struct member, api_url),
    WORD_AT(struct member, state, member_states),
    WORD_AT(struct member, role, member_roles),
    TEXT_AT(struct member, version),
    AT(struct member, FIELD_BOOL, checkpoint_pending),
    AT(struct member, FIELD_BOOL, pending_restart),
    AT(struct member, FIELD_BOOL, pause),
    AT(struct member, FIELD_BOOL, streaming),
    AT(struct member, FIELD_BOOL, has_receive_lsn),
    AT(struct member, FIELD_LSN, xlog_location),
    AT(struct member, FIELD_LSN, receive_lsn),
    AT(struct member, FIELD_LSN, replay_lsn),
    AT(struct member, FIELD_U32, timeline),
    STRUCT_AT(struct member, tags, tags_fields),
    END,
};

static const struct field peer_fields[] = {
    STRUCT_AT(struct peer, member, member_fields),
    AT(struct peer, FIELD_BOOL, has_key),
    AT(struct peer, FIELD_I64, data_id_revision),
    AT(struct peer, FIELD_MONO, walsender_gone),
    AT(struct peer, FIELD_BOOL, asked),
    AT(struct peer, FIELD_BOOL, answered),
    AT(struct peer, FIELD_BOOL, in_recovery),
    AT(struct peer, FIELD_LSN, position),
    STRUCT_AT(struct peer, timeline, timeline_fields),
    END,
};

static const struct field failover_fields[] = {
    AT(struct failover_request, FIELD_BOOL, exists),
    TEXT_AT(struct failover_request, leader),
    TEXT_AT(struct failover_request, candidate),
    AT(struct failover_request, FIELD_BOOL, due),
    AT(struct failover_request, FIELD_BOOL, stale),
    AT(struct failover_request, FIELD_I64, mod_revision),
    AT(struct failover_request, FIELD_I64, age_ms),
    AT(struct failover_request, FIELD_BOOL, after_leader_loss),
    END,
};

static const struct field holder_fields[] = {
    AT(struct lease_holder, FIELD_BOOL, exists),
    AT(struct lease_holder, FIELD_I64, lease_id),
    AT(struct lease_holder, FIELD_BOOL, released),
    AT(struct lease_holder, FIELD_BOOL, lease_gone),
    AT(struct lease_holder, FIELD_BOOL, lifted),
    TEXT_AT(struct lease_holder, name),
    AT(struct lease_holder, FIELD_I64, mod_revision),
    END,
};

static const struct field sync_fields[] = {
    AT(struct sync_state, FIELD_BOOL, exists),      TEXT_AT(struct sync_state, leader),
    AT(struct sync_state, FIELD_NAMES, standbys),   AT(struct sync_state, FIELD_INT, quorum),
    AT(struct sync_state, FIELD_I64, mod_revision), END,
};

static const struct field store_fields[] = {
    AT(struct store_view, FIELD_BOOL, reachable),
    AT(struct store_view, FIELD_BOOL, loaded),
    AT(struct store_view, FIELD_BOOL, same_cluster),
    AT(struct store_view, FIELD_BOOL, recording),
    AT(struct store_view, FIELD_I64, age_ms),
    AT(struct store_view, FIELD_BOOL, leader_exists),
    TEXT_AT(struct store_view, leader),
    AT(struct store_view, FIELD_I64, leader_lease),
    AT(struct store_view, FIELD_I64, leader_create_revision),
    AT(struct store_view, FIELD_I64, leader_mod_revision),
    STRUCT_AT(struct store_view, holder, holder_fields),
    STRUCT_AT(struct store_view, sync, sync_fields),
    AT(struct store_view, FIELD_BOOL, initialize_exists),
    AT(struct store_view, FIELD_I64, initialize_create_revision),
    AT(struct store_view, FIELD_I64, initialize_lease),
    AT(struct store_view, FIELD_ID, initialize),
    AT(struct store_view, FIELD_BOOL, config_exists),
    AT(struct store_view, FIELD_I64, config_mod_revision),
    AT(struct store_view, FIELD_NAMES, failsafe),
    AT(struct store_view, FIELD_I64, failsafe_mod_revision),
    AT(struct store_view, FIELD_BOOL, failsafe_committed),
    AT(struct store_view, FIELD_I64, renewed_ttl_ms),
    AT(struct store_view, FIELD_BOOL, self_paused),
    STRUCT_AT(struct store_view, failover, failover_fields),
    AT(struct store_view, FIELD_LSN, optime),
    AT(struct store_view, FIELD_BOOL, confirmed_exists),
    STRUCT_AT(struct store_view, confirmed, timeline_fields),
    AT(struct store_view, FIELD_LSN, confirmed_lsn),
    LIST_AT(struct store_view, peers, n_peers, peer_fields),
    END,
};

static const struct field lease_fields[] = {
    AT(struct lease, FIELD_I64, id),
    AT(struct lease, FIELD_I64, ttl_ms),
    AT(struct lease, FIELD_BOOL, owns_key),
    AT(struct lease, FIELD_I64, create_revision),
    AT(struct lease, FIELD_I64, mod_revision),
    AT(struct lease, FIELD_BOOL, held_once),
    AT(struct lease, FIELD_MONO, held_until),
    AT(struct lease, FIELD_MONO, promised_until),
    AT(struct lease, FIELD_BOOL, keyless),
    AT(struct lease, FIELD_BOOL, lifted),
    AT(struct lease, FIELD_I64, tried),
    AT(struct lease, FIELD_BOOL, inherited),
    END,
};

static const struct field policy_fields[] = {
    AT(struct policy, FIELD_I64, ttl_ms),
    AT(struct policy, FIELD_BOOL, cpu_limited),
    AT(struct policy, FIELD_BOOL, sync_on),
    AT(struct policy, FIELD_BOOL, sync_strict),
    AT(struct policy, FIELD_INT, sync_count),
    AT(struct policy, FIELD_I64, max_lag_on_failover),
    AT(struct policy, FIELD_I64, max_lag_on_syncnode),
    AT(struct policy, FIELD_BOOL, pause),
    AT(struct policy, FIELD_BOOL, failsafe),
    AT(struct policy, FIELD_BOOL, use_rewind),
    AT(struct policy, FIELD_BOOL, clone_on_divergence),
    AT(struct policy, FIELD_BOOL, clone_on_rewind_failure),
    AT(struct policy, FIELD_I64, primary_start_timeout_ms),
    AT(struct policy, FIELD_BOOL, may_bootstrap),
    END,
};

static const struct field orders_fields[] = {
    AT(struct orders, FIELD_BOOL, restart),
    AT(struct orders, FIELD_BOOL, reload),
    AT(struct orders, FIELD_BOOL, reinit),
    END,
};

static const struct field late_fields[] = {
    TEXT_AT(struct late, name),
    AT(struct late, FIELD_UNSIGNED, times),
    AT(struct late, FIELD_LSN, goal),
    AT(struct late, FIELD_MONO, retry_at),
    END,
};

static const struct field memory_fields[] = {
    AT(struct memory, FIELD_BOOL, rewind_failed),
    AT(struct memory, FIELD_BOOL, rewind_checked),
    AT(struct memory, FIELD_BOOL, handed_over),
    AT(struct memory, FIELD_MONO, started_at),
    AT(struct memory, FIELD_MONO, promised_until),
    TEXT_AT(struct memory, promised_to),
    AT(struct memory, FIELD_MONO, promoted_at),
    AT(struct memory, FIELD_MONO, grow_failed_at),
    LIST_AT(struct memory, late, n_late, late_fields),
    END,
};

const struct field view_fields[] = {
    AT(struct view, FIELD_MONO, now),
    AT(struct view, FIELD_BOOL, clear_head),
    TEXT_AT(struct view, self),
    STRUCT_AT(struct view, tags, tags_fields),
    AT(struct view, FIELD_BOOL, accept_restored),
    STRUCT_AT(struct view, pg, pg_fields),
    STRUCT_AT(struct view, guard, guard_fields),
    STRUCT_AT(struct view, lease, lease_fields),
    STRUCT_AT(struct view, store, store_fields),
    STRUCT_AT(struct view, policy, policy_fields),
    STRUCT_AT(struct view, orders, orders_fields),
    STRUCT_AT(struct view, memory, memory_fields),
    END,
};
