#include "controller/pki/authority.h"

#include <string.h>

#include "controller/pki/pki.h"

enum { SPREAD_MS = 600000 }; /* until the bundle is in every pod that is made then */

static bool has_next(const struct authority *authority)
{
    return authority->next != NULL && strcmp(authority->next, authority->cert) != 0;
}

enum authority_move authority_move(const struct authority *authority, struct wall now,
                                   struct wall oldest_pod)
{
    struct pki_facts facts, next;
    if (!pki_read_facts(authority->cert, &facts))
        return AUTHORITY_KEEP;
    int64_t life_ms = facts.until.ms - facts.from.ms;
    int64_t left_ms = facts.until.ms - now.ms;
    bool late = left_ms < life_ms / 6;
    if (strcmp(facts.common_name, authority->own_name) != 0)
        return late ? AUTHORITY_ENDS : AUTHORITY_KEEP;
    if (left_ms >= life_ms / 3)
        return AUTHORITY_KEEP;
    if (!has_next(authority) || !pki_read_facts(authority->next, &next))
        return AUTHORITY_PREPARE;
    if (!late)
        return AUTHORITY_KEEP;
    bool all_trust = oldest_pod.ms > next.from.ms + PKI_BACKDATE_MS + SPREAD_MS;
    return all_trust ? AUTHORITY_PROMOTE : AUTHORITY_WAIT;
}

void authority_bundle(const struct authority *authority, struct wall now, struct text *to)
{
    struct pki_facts previous;
    text_add(to, authority->cert);
    if (has_next(authority))
        text_add(to, authority->next);
    if (authority->previous != NULL && pki_read_facts(authority->previous, &previous) &&
        previous.until.ms > now.ms)
        text_add(to, authority->previous);
}
