#include "pki.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void add_name(X509 *cert, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *make_cert(EVP_PKEY *key, const char *name, long serial, X509 *issuer,
                       EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    add_name(cert, name);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert));
    if (issuer == NULL)
        add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(cert, NID_subject_alt_name, "IP:127.0.0.1");
    X509_sign(cert, issuer_key, EVP_sha256());
    return cert;
}

static void write_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
    FILE *file = fopen(path, "w");
    assert(file != NULL);
    if (cert != NULL)
        PEM_write_X509(file, cert);
    if (key != NULL)
        PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}

static void issue(const struct pki *pki, const char *cert_path, const char *key_path,
                  const char *name, long serial)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(key, name, serial, pki->ca_cert, pki->ca_key);
    write_pem(cert_path, cert, NULL);
    write_pem(key_path, NULL, key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void pki_init(struct pki *pki)
{
    snprintf(pki->dir, sizeof(pki->dir), "/tmp/pgvigil-api-XXXXXX");
    char *made = mkdtemp(pki->dir);
    assert(made != NULL);
    (void)made;
    snprintf(pki->ca, sizeof(pki->ca), "%s/ca.pem", pki->dir);
    snprintf(pki->cert, sizeof(pki->cert), "%s/server.pem", pki->dir);
    snprintf(pki->key, sizeof(pki->key), "%s/server.key", pki->dir);
    snprintf(pki->client_cert, sizeof(pki->client_cert), "%s/client.pem", pki->dir);
    snprintf(pki->client_key, sizeof(pki->client_key), "%s/client.key", pki->dir);
    pki->ca_key = EVP_EC_gen("P-256");
    pki->ca_cert = make_cert(pki->ca_key, "test ca", 1, NULL, pki->ca_key);
    write_pem(pki->ca, pki->ca_cert, NULL);
    issue(pki, pki->cert, pki->key, "server", 2);
    issue(pki, pki->client_cert, pki->client_key, "client", 3);
}

void pki_done(struct pki *pki)
{
    const char *const files[] = { pki->ca, pki->cert, pki->key, pki->client_cert, pki->client_key };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlink(files[i]);
    rmdir(pki->dir);
    X509_free(pki->ca_cert);
    EVP_PKEY_free(pki->ca_key);
}

void pki_issue(const struct pki *pki, const char *name, long serial)
{
    issue(pki, pki->cert, pki->key, name, serial);
}

void pki_spoil(const struct pki *pki)
{
    write_pem(pki->cert, NULL, NULL);
}
