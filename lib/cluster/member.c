#include "cluster/member.h"

#include <stdio.h>
#include <string.h>

#define MEMBER_STATE_NAME(name, text) [MEMBER_##name] = (text),
static const char *const state_names[] = {
    MEMBER_STATES(MEMBER_STATE_NAME)[MEMBER_STATE_UNKNOWN] = "unknown",
};
#undef MEMBER_STATE_NAME
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == MEMBER_STATE_UNKNOWN + 1,
               "every state has a name");

static const char *const role_names[] = {
    [MEMBER_ROLE_UNINITIALIZED] = "uninitialized",
    [MEMBER_ROLE_REPLICA] = "replica",
    [MEMBER_ROLE_PRIMARY] = "primary",
    [MEMBER_ROLE_DEMOTED] = "demoted",
};
_Static_assert(sizeof(role_names) / sizeof(role_names[0]) == MEMBER_ROLE_MAX,
               "every role has a name");

const char *member_state_name(enum member_state state)
{
    return state_names[state];
}

enum member_state member_state_from_name(const char *name)
{
    size_t state = 0;
    while (state < MEMBER_STATE_UNKNOWN && strcmp(state_names[state], name) != 0)
        state++;
    return (enum member_state)state;
}

const char *member_role_name(enum member_role role)
{
    return role_names[role];
}

enum member_role member_role_from_name(const char *name)
{
    for (size_t role = 0; role < MEMBER_ROLE_MAX; role++)
        if (strcmp(role_names[role], name) == 0)
            return (enum member_role)role;
    return MEMBER_ROLE_UNINITIALIZED;
}

/* The next code point of UTF-8 text; a byte that is not UTF-8 stands for itself. */
static unsigned take_code_point(const char **text)
{
    const unsigned char *at = (const unsigned char *)*text;
    size_t more = at[0] >= 0xf0 ? 3 : at[0] >= 0xe0 ? 2 : at[0] >= 0xc0 ? 1 : 0;
    unsigned point = more == 0 ? at[0] : at[0] & (0x3fu >> more);

    for (size_t i = 1; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            point = at[0];
            more = 0;
            break;
        }
        point = point << 6 | (at[i] & 0x3f);
    }
    *text += more + 1;
    return point;
}

static bool is_slot_char(unsigned c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

void member_slot_name(const char *member, char ret_slot[LIMIT_NAME])
{
    size_t used = 0;
    while (*member != '\0' && used + 1 < LIMIT_NAME) {
        unsigned c = take_code_point(&member);
        char part[16];
        if (c >= 'A' && c <= 'Z')
            c = c - 'A' + 'a';
        if (is_slot_char(c))
            snprintf(part, sizeof(part), "%c", (int)c);
        else if (c == '-' || c == '.')
            snprintf(part, sizeof(part), "_");
        else
            snprintf(part, sizeof(part), "u%04u", c);
        size_t len = strlen(part);
        size_t room = LIMIT_NAME - 1 - used;
        memcpy(ret_slot + used, part, len < room ? len : room);
        used += len < room ? len : room;
    }
    ret_slot[used] = '\0';
}
