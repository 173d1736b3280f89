#include "controller/pki/pki.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clean.h"
#include "base/mem.h"

enum {
    CA_DAYS = 3650,
    LEAF_DAYS = 365,
    BACKDATE_S = PKI_BACKDATE_MS / 1000,
    SERIAL_BYTES = 16,
    DAY_S = 86400
};

static void x509_cleanup(X509 **cert)
{
    X509_free(*cert);
}

static void key_cleanup(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void bio_cleanup(BIO **bio)
{
    BIO_free(*bio);
}

#define auto_x509 __attribute__((cleanup(x509_cleanup))) X509
#define auto_key __attribute__((cleanup(key_cleanup))) EVP_PKEY
#define auto_bio __attribute__((cleanup(bio_cleanup))) BIO

void pki_pair_done(struct pki_pair *pair)
{
    if (pair->key != NULL)
        explicit_bzero(pair->key, strlen(pair->key));
    free(pair->key);
    free(pair->cert);
    *pair = (struct pki_pair){ 0 };
}

static enum err_code failed(struct err *err, enum err_code code, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_get_error());
    ERR_clear_error();
    return err_set(err, code, "certificate: %s: %s", what, reason != NULL ? reason : "failed");
}

/* ---- PEM -------------------------------------------------------------------------------------- */

static char *text_of(BIO *bio)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);
    return mem_strndup(bytes, (size_t)len);
}

static enum err_code to_pem(X509 *cert, EVP_PKEY *key, struct pki_pair *ret_pair, struct err *err)
{
    auto_bio *cert_bio = BIO_new(BIO_s_mem());
    auto_bio *key_bio = BIO_new(BIO_s_mem());
    if (PEM_write_bio_X509(cert_bio, cert) != 1 ||
        PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return failed(err, ERR_SYSTEM, "write");
    *ret_pair = (struct pki_pair){ .cert = text_of(cert_bio), .key = text_of(key_bio) };
    return ERR_OK;
}

/* The first certificate of the text; NULL: none. */
static X509 *read_cert(const char *pem)
{
    auto_bio *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    ERR_clear_error();
    return cert;
}

static EVP_PKEY *read_key(const char *pem)
{
    auto_bio *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    ERR_clear_error();
    return key;
}

/* ---- making ----------------------------------------------------------------------------------- */

static bool set_serial(X509 *cert)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return good;
}

static bool set_frame(X509 *cert, EVP_PKEY *key, const char *common_name, struct wall now,
                      long days)
{
    time_t at = (time_t)(now.ms / 1000);
    X509_NAME *name = X509_get_subject_name(cert);
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           X509_time_adj_ex(X509_getm_notBefore(cert), 0, -BACKDATE_S, &at) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(cert), 0, days * DAY_S, &at) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1 &&
           X509_set_pubkey(cert, key) == 1;
}

static bool add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool good = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

enum err_code pki_make_ca(const char *common_name, struct wall now, struct pki_pair *ret_ca,
                          struct err *err)
{
    auto_key *key = EVP_EC_gen("P-256");
    auto_x509 *cert = X509_new();
    if (key == NULL || !set_frame(cert, key, common_name, now, CA_DAYS) ||
        X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        !add(cert, cert, NID_basic_constraints, "critical,CA:TRUE") ||
        !add(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add(cert, cert, NID_subject_key_identifier, "hash") ||
        X509_sign(cert, key, EVP_sha256()) == 0)
        return failed(err, ERR_SYSTEM, "CA");
    return to_pem(cert, key, ret_ca, err);
}

static bool add_leaf_extensions(X509 *cert, X509 *issuer, const struct pki_leaf *leaf)
{
    return add(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add(cert, issuer, NID_key_usage, "critical,digitalSignature") &&
           add(cert, issuer, NID_ext_key_usage,
               leaf->server ? "serverAuth,clientAuth" : "clientAuth") &&
           add(cert, issuer, NID_subject_key_identifier, "hash") &&
           add(cert, issuer, NID_authority_key_identifier, "keyid") &&
           (leaf->names == NULL || add(cert, issuer, NID_subject_alt_name, leaf->names));
}

enum err_code pki_make_leaf(const char *ca_cert, const char *ca_key, const struct pki_leaf *leaf,
                            struct wall now, struct pki_pair *ret_pair, struct err *err)
{
    auto_x509 *issuer = read_cert(ca_cert);
    auto_key *issuer_key = read_key(ca_key);
    if (issuer == NULL || issuer_key == NULL)
        return err_set(err, ERR_INVALID, "certificate: the CA's tls.crt or tls.key is not PEM");
    auto_key *key = EVP_EC_gen("P-256");
    auto_x509 *cert = X509_new();
    if (key == NULL || !set_frame(cert, key, leaf->common_name, now, LEAF_DAYS) ||
        X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1)
        return failed(err, ERR_SYSTEM, leaf->common_name);
    if (!add_leaf_extensions(cert, issuer, leaf))
        return failed(err, ERR_INVALID, leaf->names != NULL ? leaf->names : leaf->common_name);
    if (X509_sign(cert, issuer_key, EVP_sha256()) == 0)
        return failed(err, ERR_INVALID, "sign");
    return to_pem(cert, key, ret_pair, err);
}

/* ---- looking ---------------------------------------------------------------------------------- */

static bool to_wall(const ASN1_TIME *time, struct wall *ret_wall)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return false;
    ret_wall->ms = (int64_t)timegm(&parts) * 1000;
    return true;
}

bool pki_read_facts(const char *pem, struct pki_facts *ret_facts)
{
    auto_x509 *cert = read_cert(pem);
    struct pki_facts facts = { 0 };
    if (cert == NULL || !to_wall(X509_get0_notBefore(cert), &facts.from) ||
        !to_wall(X509_get0_notAfter(cert), &facts.until))
        return false;
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, facts.common_name,
                                    sizeof(facts.common_name));
    *ret_facts = facts;
    return true;
}

/* "*.x" is asked for as one of the names that it stands for. */
static bool has_name(X509 *cert, const char *entry)
{
    if (strncmp(entry, "IP:", 3) == 0)
        return X509_check_ip_asc(cert, entry + 3, 0) == 1;
    const char *name = strncmp(entry, "DNS:", 4) == 0 ? entry + 4 : entry;
    if (strncmp(name, "*.", 2) != 0)
        return X509_check_host(cert, name, 0, 0, NULL) == 1;
    auto_text struct text one = text_new(512);
    text_addf(&one, "a%s", name + 1);
    return X509_check_host(cert, text_str(&one), 0, 0, NULL) == 1;
}

static bool has_names(X509 *cert, const char *names)
{
    auto_free char *list = mem_strdup(names != NULL ? names : "");
    char *rest = list;
    char *entry;
    while ((entry = strsep(&rest, ",")) != NULL)
        if (entry[0] != '\0' && !has_name(cert, entry))
            return false;
    return true;
}

bool pki_leaf_is_due(const char *cert_pem, const char *ca_pem, const struct pki_leaf *leaf,
                     struct wall now)
{
    auto_x509 *cert = read_cert(cert_pem);
    auto_x509 *issuer = read_cert(ca_pem);
    if (cert == NULL || issuer == NULL || X509_verify(cert, X509_get0_pubkey(issuer)) != 1) {
        ERR_clear_error();
        return true;
    }
    time_t renewal = (time_t)(now.ms / 1000) + (time_t)LEAF_DAYS * DAY_S / 3;
    return X509_cmp_time(X509_get0_notAfter(cert), &renewal) <= 0 || !has_names(cert, leaf->names);
}
