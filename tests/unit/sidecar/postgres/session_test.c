/* Connections that fail: what is told, and that nothing blocks. The rest is in steps_postgres_test,
 * against real servers. */
#include "sidecar/postgres/session.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../support/loopback.h"
#include "base/clock.h"

static struct {
    struct loop *loop;
    struct session *session;
    int listener;
    int port;
    int answers;
    enum err_code code;
    char sqlstate[6];
    bool sent;
    struct source *accepting;
    int accepted;
} world;

static struct config_login login;
static char user[] = "postgres";
static char password[] = "secret";
static char no_tls[] = "disable";

/* A server that accepts nobody by itself: the backlog does. */
static void setup(void)
{
    world.listener = loopback_listen(&world.port);
    world.accepted = -1;
    world.answers = 0;
    login.username = user;
    login.password = password;
    login.sslmode = no_tls;
    world.loop = loop_new();
    const struct session_options options = { .host = "127.0.0.1",
                                             .port = world.port,
                                             .database = "postgres",
                                             .login = &login,
                                             .application_name = "test" };
    world.session = session_new(world.loop, &options, NULL, NULL);
}

static void teardown(void)
{
    session_free(world.session);
    source_free(world.accepting);
    loop_free(world.loop);
    close(world.listener);
    if (world.accepted >= 0)
        close(world.accepted);
}

static void on_answer(void *arg, const struct session_answer *answer)
{
    (void)arg;
    world.answers++;
    world.code = answer->code;
    world.sent = answer->sent;
    memcpy(world.sqlstate, answer->sqlstate, sizeof(world.sqlstate));
    loop_stop(world.loop);
}

static void ask(int64_t ms)
{
    const struct session_query query = { .sql = "SELECT 1",
                                         .shape = SESSION_ROW,
                                         .columns = 1,
                                         .deadline = mono_add(clock_mono(), ms),
                                         .done = on_answer };
    session_query(world.session, &query);
    ck_assert(session_busy(world.session));
    loop_run(world.loop);
    ck_assert(!session_busy(world.session));
    ck_assert_int_eq(world.answers, 1);
}

/* Nobody listens: it did not happen. */
START_TEST(test_refused)
{
    close(world.listener);
    world.listener = -1;
    ask(2000);
    ck_assert_int_eq(world.code, ERR_UNREACHABLE);
    ck_assert_str_eq(world.sqlstate, "");
    ck_assert(!world.sent);
}
END_TEST

/* Somebody listens and says nothing: every wait has a deadline. */
START_TEST(test_silent)
{
    struct mono began = clock_mono();
    ask(200);
    ck_assert_int_eq(world.code, ERR_TIMEOUT);
    ck_assert_int_ge(mono_diff(clock_mono(), began), 190);
    ck_assert_int_lt(mono_diff(clock_mono(), began), 1500);
}
END_TEST

/* Without TLS the first packet is the startup packet; this server refuses it. */
static void on_packet(void *arg, int events)
{
    static const char body[] = "SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0";
    char packet[1024];
    uint32_t length = htonl((uint32_t)(sizeof(body) + 4));
    (void)arg;
    (void)events;
    ck_assert_int_gt(recv(world.accepted, packet, sizeof(packet), 0), 0);
    world.accepting = source_free(world.accepting);
    ck_assert_int_eq(send(world.accepted, "E", 1, MSG_MORE), 1);
    ck_assert_int_eq(send(world.accepted, &length, 4, MSG_MORE), 4);
    ck_assert_int_eq(send(world.accepted, body, sizeof(body), 0), sizeof(body));
    shutdown(world.accepted, SHUT_WR);
}

static void on_accept(void *arg, int events)
{
    (void)arg;
    (void)events;
    world.accepting = source_free(world.accepting);
    world.accepted = accept(world.listener, NULL, NULL);
    ck_assert_int_ge(world.accepted, 0);
    world.accepting = loop_fd(world.loop, world.accepted, LOOP_READ, on_packet, NULL);
}

/* Design part 2: "too many connections" and "starting up" are answers of a living server, told apart
 * by their code, which libpq hides in its text. */
START_TEST(test_living_server)
{
    world.accepting = loop_fd(world.loop, world.listener, LOOP_READ, on_accept, NULL);
    ask(3000);
    ck_assert_int_eq(world.code, ERR_REFUSED);
    ck_assert_str_eq(world.sqlstate, "57P03");
}
END_TEST

/* Dropping it cancels: no callback comes afterwards (style A10). */
START_TEST(test_close_forgets)
{
    const struct session_query query = { .sql = "SELECT 1",
                                         .deadline = mono_add(clock_mono(), 50),
                                         .done = on_answer };
    session_query(world.session, &query);
    session_close(world.session);
    ck_assert(!session_busy(world.session));
    ck_assert_int_eq(session_backend_pid(world.session), 0);
    close(world.listener);
    world.listener = -1;
    ask(1000); /* it can be used again */
}
END_TEST

/* Names and passwords of people hold anything. */
START_TEST(test_quoting)
{
    char *literal = session_quote_literal("it's");
    char *escaped = session_quote_literal("a\\b'c");
    char *identifier = session_quote_identifier("we\"ird");
    ck_assert_str_eq(literal, "'it''s'");
    ck_assert_str_eq(escaped, " E'a\\\\b''c'");
    ck_assert_str_eq(identifier, "\"we\"\"ird\"");
    free(literal);
    free(escaped);
    free(identifier);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tcase = tcase_create("connections");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_silent);
    tcase_add_test(tcase, test_living_server);
    tcase_add_test(tcase, test_close_forgets);
    tcase_add_test(tcase, test_quoting);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
