/* Certificates of the server: checked before they are used, taken over by a running context. */
#include <openssl/err.h>
#include <string.h>

#include "server_internal.h"

static enum err_code tls_error(struct err *err, const char *what, const char *file)
{
    unsigned long code = ERR_get_error();
    const char *reason = ERR_reason_error_string(code);
    ERR_clear_error();
    return err_set(err, ERR_INVALID, "%s: %s: %s", what, file,
                   reason != NULL ? reason : "cannot be used");
}

static int give_password(char *buffer, int size, int writing, void *arg)
{
    const char *password = arg;
    (void)writing;
    if (password == NULL || strlen(password) >= (size_t)size)
        return 0;
    strncpy(buffer, password, (size_t)size);
    return (int)strlen(password);
}

static enum err_code apply_ca(SSL_CTX *context, const char *file, struct err *err)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);
    if (names == NULL || SSL_CTX_load_verify_locations(context, file, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_error(err, "cafile", file);
    }
    SSL_CTX_set_client_CA_list(context, names);
    return ERR_OK;
}

enum err_code server_tls_apply(SSL_CTX *context, const struct api_settings *settings,
                               struct err *err)
{
    const char *key = settings->keyfile != NULL ? settings->keyfile : settings->certfile;
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(context, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(context, (void *)(uintptr_t)settings->keyfile_password);
    if (SSL_CTX_use_certificate_chain_file(context, settings->certfile) != 1)
        return tls_error(err, "certfile", settings->certfile);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return tls_error(err, "keyfile", key);
    if (SSL_CTX_check_private_key(context) != 1)
        return tls_error(err, "keyfile", key);
    if (settings->cafile != NULL)
        return apply_ca(context, settings->cafile, err);
    return ERR_OK;
}

enum err_code server_tls_check(const struct api_settings *settings, struct err *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    enum err_code code = server_tls_apply(context, settings, err);
    if (code == ERR_OK && settings->verify_client != API_VERIFY_NONE && settings->cafile == NULL)
        code = err_set(err, ERR_INVALID, "verify_client needs a cafile");
    SSL_CTX_free(context);
    return code;
}
