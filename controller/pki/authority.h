#pragma once
/* The CA's own renewal, decided (pure but for reading PEM). What was made with it lives on meanwhile:
 *
 *   two thirds of its life are over    the next CA is made, and goes into the bundle that everybody
 *                                      trusts (ca.crt)
 *   five sixths are over, and every    the next CA signs; the former one stays in the bundle until it
 *   pod was made after the next CA     has ended
 *
 * etcd reads its bundle at its start alone: hence the age of the pods. Clients of PostgreSQL that check
 * the server have the sixth between to fetch the bundle anew. */
#include <stdbool.h>

#include "base/instant.h"
#include "base/text.h"

struct authority {
    const char *cert;     /* of the CA that signs; PEM */
    const char *next;     /* that shall sign; NULL, or the same text: none */
    const char *previous; /* that signed before; NULL: none */
    const char
        *own_name; /* common name of the ones that are made here; another one is a person's */
};

enum authority_move {
    AUTHORITY_KEEP,
    AUTHORITY_PREPARE,
    AUTHORITY_PROMOTE,
    AUTHORITY_WAIT, /* as PROMOTE, but a pod is older than the next CA */
    AUTHORITY_ENDS, /* a sixth is left, and nothing is done since it is not ours */
};

/* `oldest_pod`: when the oldest pod with a certificate was made; 0: not known. */
enum authority_move authority_move(const struct authority *authority, struct wall now,
                                   struct wall oldest_pod);

/* Appends what everybody trusts: the one that signs first. */
void authority_bundle(const struct authority *authority, struct wall now, struct text *to);
