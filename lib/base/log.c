#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"

/* The log level and the stream are the one mutable global that the style allows. */
static struct {
    const char *who;
    enum log_level lowest;
    bool json;
    uint64_t dropped;
} logger = { .who = "", .lowest = LOG_LEVEL_INFO };

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "DEBUG",
    [LOG_LEVEL_INFO] = "INFO",
    [LOG_LEVEL_WARN] = "WARN",
    [LOG_LEVEL_ERROR] = "ERROR",
};

void log_open(const char *who, enum log_level lowest, bool json)
{
    logger.who = who;
    logger.lowest = lowest;
    logger.json = json;
}

void log_set_level(enum log_level lowest)
{
    logger.lowest = lowest;
}

bool log_level_from_name(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcasecmp(name, level_names[i]) == 0 ||
            (i == LOG_LEVEL_WARN && strcasecmp(name, "WARNING") == 0)) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

uint64_t log_dropped(void)
{
    return logger.dropped;
}

/* Standard error may be shared with other programs, so it is not made non-blocking: a line is
 * written only when poll says that there is room (a pipe then takes PIPE_BUF bytes at least). */
static void log_write(const char *line, size_t len)
{
    struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };
    if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0 &&
        write(STDERR_FILENO, line, len) == (ssize_t)len)
        return;
    logger.dropped++;
}

static size_t escape_json(char *to, size_t size, const char *from)
{
    size_t len = 0;
    for (; *from != '\0' && len + 8 < size; from++) {
        unsigned char c = (unsigned char)*from;
        if (c == '"' || c == '\\')
            len += (size_t)snprintf(to + len, size - len, "\\%c", c);
        else if (c < 0x20)
            len += (size_t)snprintf(to + len, size - len, "\\u%04x", c);
        else
            to[len++] = (char)c;
    }
    to[len] = '\0';
    return len;
}

static void log_line(enum log_level level, const char *format, va_list args)
{
    if (level < logger.lowest)
        return;
    char message[LIMIT_LOG_LINE];
    (void)vsnprintf(message, sizeof(message), format, args);
    for (char *c = message; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    char at[CLOCK_ISO_MAX];
    clock_iso(clock_wall(), at);
    at[23] = '\0'; /* milliseconds are enough here */
    char line[LIMIT_LOG_LINE * 2];
    int len;
    if (logger.json) {
        char escaped[LIMIT_LOG_LINE + 256];
        escape_json(escaped, sizeof(escaped), message);
        len = snprintf(line, sizeof(line),
                       "{\"time\":\"%sZ\",\"level\":\"%s\",\"member\":\"%s\",\"message\":\"%s\"}\n",
                       at, level_names[level], logger.who, escaped);
    } else {
        len = snprintf(line, sizeof(line), "%sZ %-5s %s %s\n", at, level_names[level], logger.who,
                       message);
    }
    if (len > 0)
        log_write(line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        log_line(level, format, args);                                                             \
        va_end(args);                                                                              \
    }

LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)

void log_warn_lines(const char *what, const char *lines)
{
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");
        if (len > 0)
            log_warn("%s: %.*s", what, (int)len, lines);
        lines += len + (lines[len] == '\n');
    }
}
