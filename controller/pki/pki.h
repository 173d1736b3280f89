#pragma once
/* The release's own certificates: a CA and what it signs, ECDSA P-256, in PEM. Nothing is kept here. */
#include <stdbool.h>

#include "base/err.h"
#include "base/instant.h"

struct pki_pair {
    char *cert; /* PEM */
    char *key;  /* PEM, PKCS#8 */
};
/* The key is overwritten. */
void pki_pair_done(struct pki_pair *pair);

struct pki_leaf {
    const char *common_name;
    const char *names; /* "DNS:a.b,IP:127.0.0.1": subjectAltName; NULL: none */
    bool server; /* for servers and clients (members of etcd are both); else for clients only */
};

/* Ten years, and one. Errors: ERR_SYSTEM, ERR_INVALID (the CA or a name cannot be used). */
enum err_code pki_make_ca(const char *common_name, struct wall now, struct pki_pair *ret_ca,
                          struct err *err);
enum err_code pki_make_leaf(const char *ca_cert, const char *ca_key, const struct pki_leaf *leaf,
                            struct wall now, struct pki_pair *ret_pair, struct err *err);

/* Of the first certificate of a text. A certificate begins PKI_BACKDATE_MS before it was made, for clocks
 * that are late. False: it cannot be read. */
enum { PKI_BACKDATE_MS = 300000 };
struct pki_facts {
    char common_name[256];
    struct wall from, until;
};
bool pki_read_facts(const char *cert, struct pki_facts *ret_facts);

/* A new one is needed: it cannot be read, was not signed by this CA, lacks one of the names, or a
 * third of its life or less is left. */
bool pki_leaf_is_due(const char *cert, const char *ca_cert, const struct pki_leaf *leaf,
                     struct wall now);
