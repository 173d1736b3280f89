#pragma once
/* What fleet.c (what is done) and fleet_look.c (what is read) share. */
#include "controller/controller_internal.h"
#include "controller/core/roll.h"
#include "controller/fleet.h"

enum fleet_object { FLEET_SET, FLEET_WITNESS, FLEET_NODE, FLEET_OBJECTS };

struct fleet {
    struct controller *controller;

    /* As last read. */
    struct source *timer;
    struct http_call *look;
    enum fleet_object object; /* that is being read */
    bool set_known;
    int replicas;
    char revision[LIMIT_LABEL];
    char stamp[LIMIT_LABEL];
    bool witness_known;
    bool witness_exists;
    bool witness_complete;
    char witness_stamp[LIMIT_LABEL];
    char node[LIMIT_KUBE_NAME]; /* of the primary, as last read */
    bool cordoned;

    /* What is being done. */
    struct source *pause; /* until its effect can be seen */
    struct http_call *call;
    const char *doing; /* static, for the log */
    struct mono healthy_since;
    struct mono moved_at;       /* the last switchover away from a cordoned node; 0: none */
    char removed[LIMIT_NAME];   /* the member that was removed last, until its pod is back */
    char restarted[LIMIT_NAME]; /* the member that was told to restart last */
    struct mono restarted_at;
    struct etcd_call *write; /* of pgvigil/rollout */
    char said[LIMIT_REASON]; /* as last written there */
};

/* fleet_look.c */
void fleet_look_begin(struct fleet *fleet);
