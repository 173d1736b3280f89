#include "cluster/sync_state.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ASCII only and without the locale: PostgreSQL and Patroni compare member names this way. */
static int fold(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static bool same_name(const char *a, const char *b)
{
    for (; *a != '\0' && fold(*a) == fold(*b); a++, b++)
        ;
    return fold(*a) == fold(*b);
}

static size_t find(const struct names *names, const char *name)
{
    size_t i = 0;
    while (i < names->n && !same_name(names->name[i], name))
        i++;
    return i;
}

void names_add(struct names *names, const char *name)
{
    size_t len = strlen(name);
    /* A name that would be cut could become somebody else's. */
    if (len == 0 || len >= LIMIT_NAME || names_full(names) || names_has(names, name))
        return;

    size_t at = names->n;
    while (at > 0 && strcmp(names->name[at - 1], name) > 0) {
        memcpy(names->name[at], names->name[at - 1], LIMIT_NAME);
        at--;
    }
    memset(names->name[at], 0, LIMIT_NAME);
    memcpy(names->name[at], name, len);
    names->n++;
}

void names_remove(struct names *names, const char *name)
{
    size_t at = find(names, name);
    if (at == names->n)
        return;
    memmove(names->name[at], names->name[at + 1], (names->n - at - 1) * LIMIT_NAME);
    names->n--;
    memset(names->name[names->n], 0, LIMIT_NAME);
}

bool names_has(const struct names *names, const char *name)
{
    return find(names, name) < names->n;
}

bool names_covers(const struct names *set, const struct names *subset)
{
    for (size_t i = 0; i < subset->n; i++)
        if (!names_has(set, subset->name[i]))
            return false;
    return true;
}

bool names_equal(const struct names *a, const struct names *b)
{
    return a->n == b->n && names_covers(a, b);
}

bool names_full(const struct names *names)
{
    return names->n == LIMIT_MEMBERS;
}

const char *names_join(const struct names *names, char *buffer, size_t size)
{
    size_t used = 0;
    assert(size > 0);
    buffer[0] = '\0';
    for (size_t i = 0; i < names->n; i++) {
        const char *comma = i == 0 ? "" : ",";
        size_t needed = strlen(comma) + strlen(names->name[i]);
        if (needed >= size - used)
            break; /* whole names only */
        snprintf(buffer + used, size - used, "%s%s", comma, names->name[i]);
        used += needed;
    }
    return buffer;
}

bool sync_in_force(const struct sync_state *sync)
{
    return sync->exists && sync->leader[0] != '\0';
}

bool sync_names(const struct sync_state *sync, const char *member)
{
    return sync_in_force(sync) &&
           (same_name(sync->leader, member) || names_has(&sync->standbys, member));
}

/* ---- synchronous_standby_names ------------------------------------------------------ */

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_word(char c)
{
    return is_word_start(c) || (c >= '0' && c <= '9') || c == '$';
}

/* patroni-compat 1.6: a name stays bare only when it is an identifier and no word of the grammar. */
static bool needs_quotes(const char *name)
{
    if (!is_word_start(name[0]) || same_name(name, "first") || same_name(name, "any"))
        return true;
    for (; *name != '\0'; name++)
        if (!is_word(*name))
            return true;
    return false;
}

static size_t add_char(char *ssn, size_t used, char c)
{
    assert(used + 1 < LIMIT_SSN);
    ssn[used] = c;
    return used + 1;
}

static size_t add_name(char *ssn, size_t used, const char *name)
{
    bool quoted = needs_quotes(name);
    if (quoted)
        used = add_char(ssn, used, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            used = add_char(ssn, used, '"');
        used = add_char(ssn, used, *name);
    }
    return quoted ? add_char(ssn, used, '"') : used;
}

void ssn_format(const struct names *names, char ret_ssn[LIMIT_SSN])
{
    size_t used = 0;
    bool several = names->n > 1;

    /* Every name is waited for (S1, mode on), so the count is the number of names. */
    if (several)
        used = (size_t)snprintf(ret_ssn, LIMIT_SSN, "%zu (", names->n);
    for (size_t i = 0; i < names->n; i++) {
        if (i > 0)
            used = add_char(ret_ssn, used, ',');
        used = add_name(ret_ssn, used, names->name[i]);
    }
    if (several)
        used = add_char(ret_ssn, used, ')');
    ret_ssn[used] = '\0';
}

/* Takes one name off the text; false when there is none that we would write. */
static bool take_name(const char **text, char ret_name[LIMIT_NAME])
{
    const char *at = *text;
    bool quoted = *at == '"';
    size_t len = 0;

    if (quoted)
        at++;
    for (; quoted ? *at != '\0' : is_word(*at); at++) {
        if (quoted && *at == '"' && *++at != '"')
            break;
        if (len + 1 == LIMIT_NAME)
            return false;
        ret_name[len++] = *at;
    }
    ret_name[len] = '\0';
    *text = at;
    return len > 0;
}

static bool take_names(const char *text, struct names *names)
{
    char name[LIMIT_NAME];
    do {
        if (!take_name(&text, name))
            return false;
        names_add(names, name);
    } while (*text++ == ',');
    return true;
}

enum ssn_kind ssn_parse(const char *ssn, struct names *ret_names)
{
    struct names names = { .n = 0 };
    char again[LIMIT_SSN];

    if (ssn[strspn(ssn, " \t\r\n")] == '\0')
        return SSN_EMPTY;
    if (strcmp(ssn, SSN_NOBODY_NAME) == 0)
        return SSN_NOBODY;

    const char *list = strchr(ssn, '(');
    if (!take_names(list == NULL || ssn[0] == '"' ? ssn : list + 1, &names))
        return SSN_FOREIGN;
    /* Only what we would write ourselves is ours: a smaller count, a repeated name or ANY would
     * acknowledge commits that not every name has (S1). */
    ssn_format(&names, again);
    if (strcmp(again, ssn) != 0)
        return SSN_FOREIGN;
    /* Quoted or not, a star stands for everybody. */
    if (names_has(&names, "*") || names_has(&names, SSN_NOBODY_NAME))
        return SSN_FOREIGN;
    *ret_names = names;
    return SSN_NAMES;
}
