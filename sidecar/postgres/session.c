#include "sidecar/postgres/session.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

/*   closed -> connecting -> idle -> sending -> reading -> idle
 *      ^__________|__________|_________|__________|            */
enum session_state {
    SESSION_CLOSED,
    SESSION_CONNECTING,
    SESSION_IDLE,
    SESSION_SENDING,
    SESSION_READING
};

/* What a step waits for (style A11). */
enum want { WANT_READ, WANT_WRITE, WANT_BOTH, WANT_NOTHING, FAILED };

enum { MAX_KEYWORDS = 24, SQL_MAX = 1 << 16 };

struct session {
    struct loop *loop;
    char *host, *database, *application_name, *settings;
    char port[12];
    struct config_login login; /* copies */
    bool replication;
    session_lost_fn *lost;
    void *lost_arg;

    enum session_state state;
    PGconn *conn;
    struct source *socket;
    struct source *deadline;
    struct source *begin;
    unsigned connections;

    bool busy;
    bool sent;
    bool timed_out;
    char *sql;
    enum session_shape shape;
    int columns;
    session_done_fn *done;
    void *done_arg;
    PGresult *result;
};

static void on_socket(void *arg, int events);
static void on_deadline(void *arg);
static void advance(void *arg);

static void copy_login(struct config_login *to, const struct config_login *from)
{
    char *const *source = &from->username;
    char **target = &to->username;
    _Static_assert(sizeof(*to) % sizeof(char *) == 0, "texts only");
    for (size_t i = 0; i < sizeof(*to) / sizeof(char *); i++)
        target[i] = mem_strdup(source[i]);
}

static void free_login(struct config_login *login)
{
    char **field = &login->username;
    if (login->password != NULL)
        explicit_bzero(login->password, strlen(login->password));
    for (size_t i = 0; i < sizeof(*login) / sizeof(char *); i++)
        free(field[i]);
}

struct session *session_new(struct loop *loop, const struct session_options *options,
                            session_lost_fn *lost, void *arg)
{
    struct session *session = mem_struct(struct session);
    session->loop = loop;
    session->host = mem_strdup(options->host);
    session->database = mem_strdup(options->database);
    session->application_name = mem_strdup(options->application_name);
    session->settings = mem_strdup(options->settings);
    snprintf(session->port, sizeof(session->port), "%d", options->port);
    copy_login(&session->login, options->login);
    session->replication = options->replication;
    session->lost = lost;
    session->lost_arg = arg;
    session->deadline = loop_timer(loop, on_deadline, session);
    session->begin = loop_defer(loop, advance, session);
    return session;
}

struct session *session_free(struct session *session)
{
    if (session == NULL)
        return NULL;
    session_close(session);
    source_free(session->deadline);
    source_free(session->begin);
    free(session->host);
    free(session->database);
    free(session->application_name);
    free(session->settings);
    free_login(&session->login);
    free(session);
    return NULL;
}

/* ---- connection ---- */

static void disconnect(struct session *session)
{
    session->socket = source_free(session->socket); /* before libpq closes the descriptor */
    PQclear(session->result);
    session->result = NULL;
    PQfinish(session->conn);
    session->conn = NULL;
    session->state = SESSION_CLOSED;
}

static void forget_query(struct session *session)
{
    session->busy = false;
    session->sent = false;
    session->timed_out = false;
    source_disarm(session->deadline);
    free(session->sql);
    session->sql = NULL;
}

void session_close(struct session *session)
{
    forget_query(session);
    disconnect(session);
}

bool session_busy(const struct session *session)
{
    return session->busy;
}

int session_backend_pid(const struct session *session)
{
    bool connected = session->state == SESSION_IDLE || session->state == SESSION_SENDING ||
                     session->state == SESSION_READING;
    return connected ? PQbackendPID(session->conn) : 0;
}

unsigned session_connections(const struct session *session)
{
    return session->connections;
}

static void ignore_notice(void *arg, const PGresult *notice)
{
    (void)arg;
    log_debug("postgres: %s", PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY));
}

struct keywords {
    size_t n;
    const char *name[MAX_KEYWORDS + 1];
    const char *value[MAX_KEYWORDS + 1];
};

static void put(struct keywords *keywords, const char *name, const char *value)
{
    if (value == NULL)
        return;
    assert(keywords->n < MAX_KEYWORDS);
    keywords->name[keywords->n] = name;
    keywords->value[keywords->n] = value;
    keywords->n++;
}

static void put_login(struct keywords *keywords, const struct config_login *login, bool local)
{
    put(keywords, "user", login->username);
    /* Never NULL: libpq would look for a file. */
    put(keywords, "password", login->password != NULL ? login->password : "");
    put(keywords, "sslmode", local ? "disable" : login->sslmode);
    put(keywords, "sslkey", login->sslkey);
    put(keywords, "sslcert", login->sslcert);
    put(keywords, "sslpassword", login->sslpassword);
    put(keywords, "sslrootcert", login->sslrootcert);
    put(keywords, "sslcrl", login->sslcrl);
    /* Kerberos libraries block; whoever configured it wants it. */
    put(keywords, "gssencmode", login->gssencmode != NULL ? login->gssencmode : "disable");
    put(keywords, "channel_binding", login->channel_binding);
}

static enum want connect_start(struct session *session)
{
    struct keywords keywords = { .n = 0 };
    bool local = session->host[0] == '/';
    put(&keywords, local ? "host" : "hostaddr", session->host);
    put(&keywords, "port", session->port);
    put(&keywords, "dbname", session->database);
    put(&keywords, "application_name", session->application_name);
    put(&keywords, "options", session->settings);
    put(&keywords, "replication", session->replication ? "database" : NULL);
    put(&keywords, "client_encoding", "UTF8");
    put_login(&keywords, &session->login, local);
    session->conn = PQconnectStartParams(keywords.name, keywords.value, 0);
    if (session->conn == NULL)
        abort(); /* out of memory, as mem_new */
    session->state = SESSION_CONNECTING;
    if (PQstatus(session->conn) == CONNECTION_BAD)
        return FAILED;
    /* The text of a refused connection carries no SQLSTATE otherwise. */
    PQsetErrorVerbosity(session->conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(session->conn, ignore_notice, NULL);
    return WANT_WRITE;
}

static enum want connected(struct session *session)
{
    session->connections++;
    session->state = SESSION_IDLE;
    PQsetErrorVerbosity(session->conn, PQERRORS_DEFAULT);
    return PQsetnonblocking(session->conn, 1) == 0 ? WANT_NOTHING : FAILED;
}

static enum want connect_step(struct session *session)
{
    switch (PQconnectPoll(session->conn)) {
    case PGRES_POLLING_READING:
        return WANT_READ;
    case PGRES_POLLING_WRITING:
        return WANT_WRITE;
    case PGRES_POLLING_OK:
        return connected(session);
    case PGRES_POLLING_ACTIVE:
    case PGRES_POLLING_FAILED:
        return FAILED;
    }
    return FAILED;
}

/* ---- query ---- */

static enum want send_step(struct session *session)
{
    int rc = PQflush(session->conn);
    if (rc < 0)
        return FAILED;
    if (rc > 0) {
        if (PQconsumeInput(session->conn) == 0)
            return FAILED;
        return WANT_BOTH;
    }
    session->state = SESSION_READING;
    return WANT_READ;
}

static enum want query_start(struct session *session)
{
    session->sent = true;
    if (PQsendQuery(session->conn, session->sql) == 0)
        return FAILED;
    session->state = SESSION_SENDING;
    return send_step(session);
}

static bool is_error(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK;
}

/* Several statements give several results: the first error stands, else the last result. */
static void keep_result(struct session *session, PGresult *result)
{
    if (session->result != NULL && is_error(session->result)) {
        PQclear(result);
        return;
    }
    PQclear(session->result);
    session->result = result;
}

static enum want read_step(struct session *session)
{
    if (PQconsumeInput(session->conn) == 0)
        return FAILED;
    while (PQisBusy(session->conn) == 0) {
        PGresult *result = PQgetResult(session->conn);
        if (result == NULL) {
            session->state = SESSION_IDLE;
            return WANT_NOTHING;
        }
        keep_result(session, result);
        if (PQstatus(session->conn) == CONNECTION_BAD)
            return FAILED;
    }
    return WANT_READ;
}

/* ---- answers ---- */

/* "FATAL:  57P03: the database system is starting up" in libpq's verbose form, which is the only
 * place where the code of a refused connection is told. */
static void find_sqlstate(const char *text, char ret_sqlstate[6])
{
    for (const char *at = strstr(text, ":  "); at != NULL; at = strstr(at + 1, ":  ")) {
        const char *code = at + 3;
        size_t len = 0;
        while (len < 5 && (isdigit((unsigned char)code[len]) || isupper((unsigned char)code[len])))
            len++;
        if (len == 5 && code[5] == ':') {
            memcpy(ret_sqlstate, code, 5);
            ret_sqlstate[5] = '\0';
            return;
        }
    }
}

/* One line, without libpq's LOCATION. */
static const char *first_line(const char *text, char *buffer, size_t size)
{
    size_t len = strcspn(text, "\n");
    if (len >= size)
        len = size - 1;
    memcpy(buffer, text, len);
    buffer[len] = '\0';
    return buffer;
}

static void finish(struct session *session, struct session_answer *answer, struct err *err)
{
    session_done_fn *done = session->done;
    void *arg = session->done_arg;
    PGresult *result = session->result;
    session->result = NULL;
    answer->sent = session->sent;
    forget_query(session);
    answer->err = err;
    done(arg, answer); /* may free the session or begin the next query */
    PQclear(result);
}

static void answer_failed_connection(struct session *session)
{
    struct session_answer answer = { .code = ERR_UNREACHABLE };
    struct err err = { .code = ERR_OK };
    char line[ERR_TEXT_MAX];
    const char *text = session->conn != NULL ? PQerrorMessage(session->conn) : "";
    if (session->result != NULL && is_error(session->result)) {
        /* The server said why before it closed: 57P01 and the like. */
        const char *state = PQresultErrorField(session->result, PG_DIAG_SQLSTATE);
        text_copy(answer.sqlstate, sizeof(answer.sqlstate), state != NULL ? state : "");
        text = PQresultErrorMessage(session->result);
    } else if (session->state == SESSION_CONNECTING) {
        find_sqlstate(text, answer.sqlstate);
    }
    if (session->timed_out)
        answer.code = ERR_TIMEOUT;
    else if (answer.sqlstate[0] != '\0')
        answer.code = ERR_REFUSED;
    err_set(&err, answer.code, "%s",
            session->timed_out ? "no answer in time" : first_line(text, line, sizeof(line)));
    PQclear(session->result);
    session->result = NULL;
    disconnect(session);
    finish(session, &answer, &err);
}

static void answer_query(struct session *session)
{
    struct session_answer answer = { .code = ERR_OK, .result = session->result };
    struct err err = { .code = ERR_OK };
    char line[ERR_TEXT_MAX];
    if (session->result == NULL) {
        answer.code = err_set(&err, ERR_PROTOCOL, "no result");
    } else if (is_error(session->result)) {
        const char *state = PQresultErrorField(session->result, PG_DIAG_SQLSTATE);
        text_copy(answer.sqlstate, sizeof(answer.sqlstate), state != NULL ? state : "");
        answer.code =
            err_set(&err, ERR_REFUSED, "%s",
                    first_line(PQresultErrorMessage(session->result), line, sizeof(line)));
    } else if (session->shape == SESSION_ROW &&
               (PQntuples(session->result) != 1 || PQnfields(session->result) < session->columns)) {
        answer.code =
            err_set(&err, ERR_PROTOCOL, "%d rows of %d columns instead of one of %d",
                    PQntuples(session->result), PQnfields(session->result), session->columns);
    }
    if (answer.code != ERR_OK)
        answer.result = NULL;
    finish(session, &answer, &err);
}

/* ---- the machine ---- */

/* libpq may close the descriptor and open another one while it connects (TLS refused, next address),
 * so it is not polled then while libpq runs. */
static enum want step(struct session *session)
{
    switch (session->state) {
    case SESSION_CLOSED:
        return connect_start(session);
    case SESSION_CONNECTING:
        session->socket = source_free(session->socket);
        return connect_step(session);
    case SESSION_IDLE:
        return query_start(session);
    case SESSION_SENDING:
        return send_step(session);
    case SESSION_READING:
        return read_step(session);
    }
    return FAILED;
}

static void wait_for(struct session *session, int interest)
{
    if (session->socket == NULL)
        session->socket =
            loop_fd(session->loop, PQsocket(session->conn), interest, on_socket, session);
    else
        source_interest(session->socket, interest);
}

static void advance(void *arg)
{
    struct session *session = arg;
    while (session->busy) {
        switch (step(session)) {
        case WANT_READ:
            wait_for(session, LOOP_READ);
            return;
        case WANT_WRITE:
            wait_for(session, LOOP_WRITE);
            return;
        case WANT_BOTH:
            wait_for(session, LOOP_READ | LOOP_WRITE);
            return;
        case FAILED:
            answer_failed_connection(session);
            return;
        case WANT_NOTHING:
            break;
        }
        wait_for(session, LOOP_READ);
        if (session->state == SESSION_IDLE && session->sent) {
            answer_query(session);
            return;
        }
    }
}

static void on_socket(void *arg, int events)
{
    struct session *session = arg;
    (void)events;
    if (session->busy) {
        advance(session);
        return;
    }
    /* Idle, and the server says something: a notice, or good-bye. */
    if (PQconsumeInput(session->conn) != 0 && PQstatus(session->conn) == CONNECTION_OK)
        return;
    disconnect(session);
    if (session->lost != NULL)
        session->lost(session->lost_arg);
}

static void on_deadline(void *arg)
{
    struct session *session = arg;
    session->timed_out = true;
    answer_failed_connection(session);
}

void session_query(struct session *session, const struct session_query *query)
{
    assert(!session->busy);
    assert(strlen(query->sql) < SQL_MAX);
    session->busy = true;
    session->sent = false;
    session->timed_out = false;
    session->sql = mem_strdup(query->sql);
    session->shape = query->shape;
    session->columns = query->columns;
    session->done = query->done;
    session->done_arg = query->arg;
    source_arm_at(session->deadline, query->deadline);
    source_trigger(session->begin);
}

/* ---- texts ---- */

char *session_verifier(const struct session *session, const char *user, const char *password)
{
    if (session_backend_pid(session) == 0)
        return NULL;
    char *encrypted = PQencryptPasswordConn(session->conn, password, user, "scram-sha-256");
    char *copy = mem_strdup(encrypted);
    PQfreemem(encrypted);
    return copy;
}

static char *quote(const char *text, char mark, const char *prefix)
{
    char *quoted = mem_new(2 * strlen(text) + strlen(prefix) + 3);
    char *to = stpcpy(quoted, prefix);
    *to++ = mark;
    for (; *text != '\0'; text++) {
        if (*text == mark || (*text == '\\' && mark == '\''))
            *to++ = *text;
        *to++ = *text;
    }
    *to++ = mark;
    return quoted;
}

char *session_quote_literal(const char *text)
{
    return quote(text, '\'', strchr(text, '\\') != NULL ? " E" : "");
}

char *session_quote_identifier(const char *text)
{
    return quote(text, '"', "");
}

void session_text(const PGresult *result, int column, char *ret_text, size_t size)
{
    text_copy(ret_text, size, PQgetvalue(result, 0, column));
}
