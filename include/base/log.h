#pragma once
/* The log: one line per event on standard error, never blocking the loop (design part 2: lines are
 * dropped and counted when the pipe is full).
 *
 * Line form: `2026-01-31T23:59:59.123Z LEVEL  rule: fact -> consequence key=value …`. Libraries log
 * at debug only; programs log decisions. No secret is ever an argument. */
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Call once in main before any line. `who` is the member's name, shown in every line; borrowed. */
void log_open(const char *who, enum log_level lowest, bool json);
void log_set_level(enum log_level lowest);
bool log_level_from_name(const char *name, enum log_level *ret_level);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Warnings as the settings' readers collect them, a line each: "<what>: <line>" of every one. */
void log_warn_lines(const char *what, const char *lines);

/* Lines that a full pipe made us drop since the start. */
uint64_t log_dropped(void);
