#pragma once
/* The controller's configuration: its environment (docs/controller.md), checked once at start. */
#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"
#include "controller/core/labels.h"

enum certificates { CERTIFICATES_OFF, CERTIFICATES_GIVEN, CERTIFICATES_MAKE };

struct options {
    char *release;
    char *scope;
    char *prefix;    /* "/service/db/" */
    char *namespace; /* of Kubernetes; NULL: as the credentials say */
    char *name;
    char *node; /* "": not said */
    char *selector;
    struct label_names labels;
    bool slice; /* routing */
    int postgres_port;
    char *etcd_urls[LIMIT_MEMBERS]; /* NULL-terminated */
    char *etcd_user;
    char *etcd_password;
    char *etcd_ca;
    char *etcd_cert;
    char *etcd_key;
    enum certificates certificates;
    char *certificate_names;
    char *cluster_domain;
    char *listen_host; /* "*" */
    int listen_port;
    char *rest_user;
    char *app_database; /* "": no secret for an application */
    char *app_user;
    bool watch_nodes;
    bool manages_secrets, manages_settings, manages_events, manages_roll, manages_scale;
    enum log_level log_level;
    bool log_json;
};

/* Errors: ERR_INVALID with the variable's name and what it may be. */
enum err_code options_read(struct options **ret_options, struct err *err);
struct options *options_free(struct options *options);
