#pragma once
/* S6: a person accepts the etcd that is there. It knows nothing of what was promised (L6) or lifted
 * (L8) after the state that it was set back to, so that a primary may run on unseen: beside it a second
 * one would be made. Before an accept, every member that is known is asked what it is; pure: what a
 * member says of itself, and what follows. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sidecar/core/view.h"

#define LEADINGS(X)                                                                                \
    X(UNSAID, "unsaid")     /* no answer, or it cannot say (yet) */                                \
    X(NO, "no")             /* it neither is primary nor holds the key */                          \
    X(LEASE, "lease")       /* by renewals of the lease */                                         \
    X(PROMISES, "promises") /* L6: every member of /failsafe has promised */                       \
    X(NO_DEADLINE, "lift")  /* L8: paused, without a deadline */                                   \
    X(ENDING, "nothing")    /* as primary, by nothing that holds: it is about to end */

#define LEADING_ENUM(name, text) LEADING_##name,
enum leading_by { LEADINGS(LEADING_ENUM) LEADING_MAX };
#undef LEADING_ENUM

const char *leading_name(enum leading_by by);
enum leading_by leading_from_name(const char *name); /* LEADING_UNSAID for any other */

struct leading {
    enum leading_by by;
    int64_t create_revision; /* of the key; 0: none */
};

/* What this node says of itself. `lease` is the live one: it moves beside the cycle. */
struct leading leading_of(const struct view *view, const struct lease *lease, struct mono now);

/* Whom an accept has to ask. A node keeps them on its volume, too: an etcd that was set back need not
 * know them. */
struct known_members {
    size_t n;
    struct known_member {
        char name[LIMIT_NAME];
        char api_url[LIMIT_URL];
    } member[LIMIT_MEMBERS];
};
/* False: it is there already, by name or by URL, or there is no room. */
bool known_members_add(struct known_members *members, const char *name, const char *api_url);

struct accept_answer {
    char name[LIMIT_NAME];
    struct leading leading;
    bool known_dead; /* a person says so; counts only where the member says nothing */
};

enum { ACCEPT_WHY = 512 };

/* May this node go by the etcd that its view shows? False with `ret_why`: which member stands against
 * it, and what to do. */
bool accept_judge(const struct view *view, const struct accept_answer *answers, size_t n,
                  char ret_why[ACCEPT_WHY]);
