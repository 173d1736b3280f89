#pragma once
/* What guard and sidecar say to each other: SEQPACKET frames, one message each, in the byte order
 * of the machine that both run on. A frame is a proto_header, a structure of fixed layout by its
 * type, and then 0-terminated strings where the type has some (sidecar/guard/frame.h reads and
 * writes).
 *
 * Every frame carries the protocol version. Each end speaks its own version and the one before:
 * the sidecar greets with its own, the guard answers with the one that is agreed, and all
 * further frames carry that. Within a version a structure may grow at its end only: readers
 * ignore what they do not know. */
#include <stdint.h>

#include "base/limits.h"

enum {
    PROTO_MAGIC = 0x70766764,
    PROTO_VERSION = 2,             /* 2: PROTO_LOCK */
    PROTO_FRAME_MAX = LIMIT_FRAME, /* bytes of a frame */
    PROTO_ARGV_MAX = LIMIT_ARGV,
    PROTO_ENV_MAX = 256,
    PROTO_TEXT_MAX = 256,   /* bytes of a reply's text with terminator */
    PROTO_CHUNK_MAX = 8192, /* bytes of a tool's output in one frame */
};

/* S: from the sidecar, answered by one PROTO_REPLY of the same id. G: from the guard. */
enum proto_type {
    PROTO_NONE,
    PROTO_HELLO, /* S: the first frame; answered by WELCOME. A second sidecar's fences the first */
    PROTO_OBSERVE,  /* S: in place of HELLO: answered by one STATUS, fences nobody */
    PROTO_WELCOME,  /* G: proto_welcome */
    PROTO_STATUS,   /* G: proto_status, whenever something changed, before the reply that tells */
    PROTO_REPLY,    /* G: proto_reply, text */
    PROTO_DEADLINE, /* S: proto_deadline */
    PROTO_LIFT,     /* S: proto_lift, which may be absent; L8 */
    PROTO_START,    /* S: proto_start, argv, env, cwd */
    PROTO_SIGNAL,   /* S: proto_signal */
    PROTO_KILL,     /* S: the whole tree */
    PROTO_HANDED_OVER, /* S: G2 */
    PROTO_STOP,        /* S: as if a stop signal had come */
    PROTO_RUN,         /* S: proto_run, argv, env, cwd; then OUTPUT …, EXIT with its id */
    PROTO_RUN_CANCEL,  /* S */
    PROTO_OUTPUT,      /* G: bytes that the tool printed */
    PROTO_EXIT,        /* G: proto_exit */
    PROTO_FENCED,      /* G: another sidecar has taken over; the last frame (L7) */
    PROTO_LOCK,        /* S: since version 2: G3, without starting anything */
    PROTO_TYPE_MAX,
};

enum proto_code { PROTO_OK, PROTO_REFUSED, PROTO_INVALID, PROTO_SYSTEM };
enum proto_child { PROTO_CHILD_NONE, PROTO_CHILD_RUNNING, PROTO_CHILD_DYING };
enum proto_end { PROTO_END_EXITED, PROTO_END_DEADLINE, PROTO_END_CANCELLED };

enum proto_flag {
    PROTO_HAS_DEADLINE = 1,
    PROTO_LIFTED = 2,
    PROTO_KILLED_BY_DEADLINE = 4,
    PROTO_STOP_REQUESTED = 8,
    PROTO_LOCK_HELD = 16,
    PROTO_NO_DEADLINE = 32, /* the guard of etcd */
};

struct proto_header {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    uint32_t id;
    uint32_t length; /* bytes that follow */
};
_Static_assert(sizeof(struct proto_header) == 16, "fixed layout");

struct proto_welcome {
    int64_t started_ms; /* CLOCK_BOOTTIME: tells one guard from the next on this socket */
};

struct proto_status {
    int64_t deadline_ms; /* CLOCK_BOOTTIME, as all times here */
    int64_t lease_id;
    int64_t create_revision;
    int64_t stop_by_ms;
    uint64_t children;
    int32_t child; /* enum proto_child */
    int32_t pid;
    int32_t exit_status;
    uint32_t flags; /* enum proto_flag */
};
_Static_assert(sizeof(struct proto_status) == 56, "fixed layout");

struct proto_deadline {
    int64_t at_ms;
    int64_t lease_id;
    int64_t create_revision;
};

struct proto_lift {
    int64_t lease_id;
    int64_t create_revision;
};

struct proto_start {
    int64_t lease_id;
    int64_t create_revision;
    uint32_t primary;
    uint32_t argc;
    uint32_t envc;
    uint32_t reserved;
};
_Static_assert(sizeof(struct proto_start) == 32, "fixed layout");

struct proto_run {
    int64_t deadline_ms;
    uint32_t argc;
    uint32_t envc;
};
_Static_assert(sizeof(struct proto_run) == 16, "fixed layout");

struct proto_signal {
    int32_t signum;
};

struct proto_reply {
    int32_t code; /* enum proto_code */
};

struct proto_exit {
    int32_t wait_status;
    int32_t end; /* enum proto_end */
};

/* The version that both ends speak, 0 if none: the older one, if it is at most one behind. */
static inline uint16_t proto_agree(uint16_t own, uint16_t other)
{
    uint16_t older = own < other ? own : other;
    uint16_t newer = own < other ? other : own;
    return newer - older <= 1 ? older : 0;
}
