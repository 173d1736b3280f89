#pragma once
/* A certificate authority for one test: server and client certificates for 127.0.0.1 in a directory
 * that pki_done removes. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct pki {
    char dir[64];
    char ca[96], cert[96], key[96], client_cert[96], client_key[96];
    EVP_PKEY *ca_key;
    X509 *ca_cert;
};

void pki_init(struct pki *pki);
void pki_done(struct pki *pki);
/* Another server certificate, in place of the present one. */
void pki_issue(const struct pki *pki, const char *name, long serial);
/* The server certificate's file is empty from now on. */
void pki_spoil(const struct pki *pki);
