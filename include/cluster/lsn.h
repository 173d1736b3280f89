#pragma once
/* WAL positions (PostgreSQL's pg_lsn). */
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t lsn_t;

#define LSN_NONE ((lsn_t)0)

enum { LSN_TEXT_MAX = 20 };

/* "16/B374D848" to a position; false on anything else. */
bool lsn_parse(const char *text, lsn_t *ret_lsn);
/* The text form, in the caller's buffer, which is returned. */
const char *lsn_format(lsn_t lsn, char buffer[LSN_TEXT_MAX]);
