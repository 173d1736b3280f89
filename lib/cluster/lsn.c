#include "cluster/lsn.h"

#include <inttypes.h>
#include <stdio.h>

/* One to eight hexadecimal digits; NULL when there is none or one too many. */
static const char *parse_half(const char *text, uint32_t *ret_value)
{
    uint32_t value = 0;
    size_t digits = 0;

    for (;; text++, digits++) {
        unsigned digit;
        if (*text >= '0' && *text <= '9')
            digit = (unsigned)(*text - '0');
        else if (*text >= 'A' && *text <= 'F')
            digit = (unsigned)(*text - 'A') + 10;
        else if (*text >= 'a' && *text <= 'f')
            digit = (unsigned)(*text - 'a') + 10;
        else
            break;
        if (digits == 8)
            return NULL;
        value = value << 4 | digit;
    }
    if (digits == 0)
        return NULL;
    *ret_value = value;
    return text;
}

bool lsn_parse(const char *text, lsn_t *ret_lsn)
{
    uint32_t high, low;

    text = parse_half(text, &high);
    if (text == NULL || *text != '/')
        return false;
    text = parse_half(text + 1, &low);
    if (text == NULL || *text != '\0')
        return false;
    *ret_lsn = (lsn_t)high << 32 | low;
    return true;
}

const char *lsn_format(lsn_t lsn, char buffer[LSN_TEXT_MAX])
{
    snprintf(buffer, LSN_TEXT_MAX, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32), (uint32_t)lsn);
    return buffer;
}
