#pragma once
/* The real REST server in a process of its own, and libcurl to ask it. Orders that it carries out: reload
 * (answers after 20 ms) and PATCH /config (answers at once, with the body). */
#include <curl/curl.h>
#include <sys/types.h>

#include "sidecar/api/server.h"

struct api_process {
    pid_t pid;
    int port;
    int report_fd;
};

/* `kind`: "leader", "standby", "witness" (api_stub.h). SIGHUP reads the certificates again. */
struct api_process api_process_start(const struct api_settings *settings, const char *kind);
/* Ends it; a leak there fails the test. */
void api_process_stop(struct api_process *child);
/* The next number that it reports: the err_code of a reload. Check's limit is the deadline. */
int api_process_report(const struct api_process *child);

struct api_answer {
    long status;
    long connects; /* new connections that it took */
    double seconds;
    char head[4096];
    char body[65536];
    CURLcode code;
};

struct api_call {
    const char *method;
    const char *body;
    const char *user; /* "name:password" */
    const char *ca, *cert, *key;
    const char *header;
    bool tls;
};

struct api_answer api_process_ask_with(CURL *curl, const struct api_process *child,
                                       const char *path, const struct api_call *call);
/* On a connection of its own; `body` may be NULL. */
struct api_answer api_process_ask(const struct api_process *child, const char *method,
                                  const char *path, const char *body);
