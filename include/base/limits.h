#pragma once
/* Every ceiling of buffers, queues, lists and retries, in one place. Reaching one is ERR_LIMIT with
 * the name of what was too long. */

enum {
    LIMIT_NAME = 64,           /* bytes of a member, slot or role name with terminator */
    LIMIT_URL = 256,           /* bytes of api_url, conn_url, endpoint */
    LIMIT_PATH = 1024,         /* bytes of a file path */
    LIMIT_MEMBERS = 16,        /* data members and witnesses of a cluster */
    LIMIT_ENDPOINTS = 8,       /* etcd endpoints */
    LIMIT_TIMELINES = 128,     /* entries of a timeline history that we compare */
    LIMIT_SSN = 2304,          /* bytes of synchronous_standby_names: all members, all quoted */
    LIMIT_REASON = 192,        /* bytes of a decision's reason */
    LIMIT_STEPS = 24,          /* steps of a plan */
    LIMIT_PARAMETERS = 256,    /* entries of postgresql.parameters */
    LIMIT_HBA_LINES = 256,     /* entries of postgresql.pg_hba */
    LIMIT_TAGS = 16,           /* tags of a member */
    LIMIT_SLOTS = 64,          /* replication slots that we look at */
    LIMIT_HTTP_BODY = 1 << 22, /* bytes of a response or request body */
    LIMIT_HTTP_HEADER = 1 << 14,
    LIMIT_HTTP_CALLS = 64,       /* requests in flight */
    LIMIT_VIEW_TEXT = 1 << 16,   /* bytes of one recorded view */
    LIMIT_API_BODY = 1 << 20,    /* bytes of a request body to our REST API */
    LIMIT_API_CONNECTIONS = 256, /* to our REST API; another one closes the longest idle */
    LIMIT_WATCH_LINE = 1 << 22,  /* bytes of one event line of a watch */
    LIMIT_FILE = 1 << 20,        /* bytes of a configuration or state file */
    LIMIT_LOG_LINE = 2048,
    LIMIT_ARGV = 64,                /* arguments of a child */
    LIMIT_PROCESS_OUTPUT = 1 << 16, /* bytes kept of what a child printed */
    LIMIT_FRAME = 1 << 16,          /* bytes of a guard frame */
    LIMIT_EVENTS = 64,              /* ring of events and of recorded views */
    LIMIT_KEYS = 512,               /* keys of the cluster in the store, gravestones included */
};
