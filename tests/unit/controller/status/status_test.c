#include "controller/status/status.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support/loopback.h"
#include "tests/unit/support/until.h"

static struct loop *loop;
static struct status_server *server;
static char answer[4096];
static size_t answer_len;

static int tell(void *arg, const char *path, struct text *to)
{
    (void)arg;
    text_addf(to, "this is %s\n", path);
    return strcmp(path, "/known") == 0 ? 200 : 404;
}

static void setup(void)
{
    loop = loop_new();
    const struct status_server_spec spec = { .loop = loop, .host = "*", .fn = tell };
    ck_assert_int_eq(status_server_new(&spec, &server, NULL), ERR_OK);
}

static void teardown(void)
{
    status_server_free(server);
    loop_free(loop);
}

static int dial(void)
{
    int fd = loopback_dial(status_server_port(server));
    ck_assert_int_ge(fd, 0);
    return fd;
}

static bool is_over(void *arg)
{
    ssize_t n =
        recv(*(const int *)arg, answer + answer_len, sizeof(answer) - 1 - answer_len, MSG_DONTWAIT);
    answer_len += n > 0 ? (size_t)n : 0;
    answer[answer_len] = '\0';
    return n == 0;
}

static const char *ask(const char *request)
{
    int fd = dial();
    answer_len = 0;
    ck_assert_int_eq(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    ck_assert_msg(until(loop, is_over, &fd, 8000), "no end after: %s", answer);
    close(fd);
    return answer;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static const char *body(void)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end != NULL ? end + 4 : "no head";
}

START_TEST(answers)
{
    ck_assert_ptr_nonnull(strstr(ask("GET /known?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"), " 200 OK\r\n"));
    ck_assert_str_eq(body(), "this is /known\n");
    ck_assert_ptr_nonnull(strstr(ask("GET / HTTP/1.0\r\n\r\n"), " 404 Not Found\r\n"));
    ck_assert_ptr_nonnull(strstr(ask("HEAD /known HTTP/1.1\r\n\r\n"), "Content-Length: 15\r\n"));
    ck_assert_str_eq(body(), "");
    ck_assert_ptr_nonnull(strstr(ask("POST /known HTTP/1.1\r\n\r\n"), " 404 Not Found\r\n"));
    ck_assert_ptr_nonnull(strstr(ask("\r\n\r\n"), " 404 Not Found\r\n"));
}
END_TEST

/* A head that never ends, one that is too long, and a flood hold nobody up. */
START_TEST(who_does_not_behave)
{
    char *head = calloc(1, 20001);
    memset(head, 'x', 20000);
    ck_assert_ptr_nonnull(strstr(ask(head), " 404 Not Found\r\n"));
    free(head);
    int fds[40];
    for (int i = 0; i < 40; i++) {
        fds[i] = dial();
        (void)until(loop, never, NULL, 3); /* so that they are taken */
    }
    ck_assert_str_eq(ask("GET /known HTTP/1.1\r\n"), ""); /* given up after its patience */
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    (void)ask("GET /known HTTP/1.1\r\n\r\n");
    ck_assert_str_eq(body(), "this is /known\n");
}
END_TEST

START_TEST(both_families)
{
    ck_assert(loopback_answers_both(status_server_port(server)));
}
END_TEST

START_TEST(a_port_that_is_taken)
{
    struct status_server *second;
    struct err err;
    struct status_server_spec spec = {
        .loop = loop, .host = "", .port = status_server_port(server), .fn = tell
    };
    ck_assert_int_eq(status_server_new(&spec, &second, &err), ERR_SYSTEM);
    spec.host = "not an address";
    ck_assert_int_eq(status_server_new(&spec, &second, &err), ERR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *tcase = tcase_create("status");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, answers);
    tcase_add_test(tcase, who_does_not_behave);
    tcase_add_test(tcase, both_families);
    tcase_add_test(tcase, a_port_that_is_taken);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
