#include "controller/kube/place.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char kubeconfig[] = "apiVersion: v1\n"
                                 "kind: Config\n"
                                 "current-context: here\n"
                                 "contexts:\n"
                                 "- name: other\n"
                                 "  context: {cluster: none, user: nobody}\n"
                                 "- name: here\n"
                                 "  context: {cluster: local, user: me, namespace: db}\n"
                                 "clusters:\n"
                                 "- name: local\n"
                                 "  cluster:\n"
                                 "    server: https://10.0.0.1:6443/\n"
                                 "    certificate-authority-data: Q0EK\n"
                                 "users:\n"
                                 "- name: me\n"
                                 "  user:\n"
                                 "    client-certificate-data: Q0VSVA==\n"
                                 "    client-key-data: >-\n"
                                 "      S0\n"
                                 "      VZ\n"
                                 "- name: token\n"
                                 "  user: {token: secret}\n"
                                 "- name: program\n"
                                 "  user: {exec: {command: aws}}\n";

static enum err_code parse(const char *text, struct kube_place **ret_place, struct err *err)
{
    return kube_place_parse(text, strlen(text), "kubeconfig", "/nowhere", ret_place, err);
}

START_TEST(client_certificate)
{
    struct kube_place *place;
    struct err err;
    ck_assert_msg(parse(kubeconfig, &place, &err) == ERR_OK, "%s", err.text);
    ck_assert_str_eq(place->server, "https://10.0.0.1:6443");
    ck_assert_str_eq(place->ns, "db");
    ck_assert_str_eq(place->ca, "CA\n");
    ck_assert_str_eq(place->cert, "CERT");
    ck_assert_str_eq(place->key, "KEY");
    ck_assert_ptr_null(place->token);
    ck_assert(kube_place_equal(place, place));
    kube_place_free(place);
}
END_TEST

/* The text with one part changed. */
static char *with(const char *from, const char *to)
{
    const char *at = strstr(kubeconfig, from);
    ck_assert_ptr_nonnull(at);
    char *text = NULL;
    ck_assert_int_gt(
        asprintf(&text, "%.*s%s%s", (int)(at - kubeconfig), kubeconfig, to, at + strlen(from)), 0);
    return text;
}

START_TEST(token)
{
    struct kube_place *place, *other;
    char *text = with("user: me", "user: token");
    ck_assert_int_eq(parse(text, &place, NULL), ERR_OK);
    ck_assert_str_eq(place->token, "secret");
    ck_assert_ptr_null(place->cert);
    ck_assert_int_eq(parse(kubeconfig, &other, NULL), ERR_OK);
    ck_assert(!kube_place_equal(place, other));
    kube_place_free(place);
    kube_place_free(other);
    free(text);
}
END_TEST

START_TEST(refusals_name_what_is_wrong)
{
    static const struct {
        const char *from, *to, *says;
    } rows[] = {
        { "current-context: here", "current-context: gone", "contexts has no entry \"gone\"" },
        { "user: me", "user: program", "logs in by a program" },
        { "cluster: local", "cluster: nowhere", "clusters has no entry \"nowhere\"" },
        { "Q0VSVA==", "'*x'", "not base64" },
        { "certificate-authority-data: Q0EK", "certificate-authority: ca.pem", "/nowhere/ca.pem" },
        { "server: https", "sewer: https", "server" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kube_place *place;
        struct err err;
        char *text = with(rows[i].from, rows[i].to);
        ck_assert_int_ne(parse(text, &place, &err), ERR_OK);
        ck_assert_msg(strstr(err.text, rows[i].says) != NULL, "%s", err.text);
        free(text);
    }
}
END_TEST

START_TEST(from_the_environment)
{
    struct kube_place *place;
    struct err err;
    char path[] = "/tmp/kubeconfig-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, kubeconfig, strlen(kubeconfig)), (ssize_t)strlen(kubeconfig));
    close(fd);
    setenv("KUBECONFIG", path, 1);
    ck_assert_int_eq(kube_place_find(&place, NULL), ERR_OK);
    kube_place_free(place);
    unlink(path);
    ck_assert_int_eq(kube_place_find(&place, &err), ERR_NOT_FOUND);
    unsetenv("KUBECONFIG");
    unsetenv("KUBERNETES_SERVICE_HOST");
    ck_assert_int_eq(kube_place_find(&place, &err), ERR_INVALID);
    ck_assert_msg(strstr(err.text, "KUBECONFIG") != NULL, "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("place");
    TCase *place = tcase_create("place");
    tcase_add_test(place, client_certificate);
    tcase_add_test(place, token);
    tcase_add_test(place, refusals_name_what_is_wrong);
    tcase_add_test(place, from_the_environment);
    suite_add_tcase(suite, place);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
