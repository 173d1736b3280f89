#include <stdlib.h>
#include <string.h>

#include "cluster/failover.h"

/* Exactly `digits` digits; moves the text on. */
static bool take_number(const char **text, size_t digits, int *ret_number)
{
    int number = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9')
            return false;
        number = number * 10 + (c - '0');
    }
    *text += digits;
    *ret_number = number;
    return true;
}

static bool take_char(const char **text, const char *accepted)
{
    if (**text == '\0' || strchr(accepted, **text) == NULL)
        return false;
    (*text)++;
    return true;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t year_of_era = y - era * 400;
    int64_t shifted = month > 2 ? month - 3 : month + 9; /* March is the first month */
    int64_t day_of_year = (153 * shifted + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static bool take_date(const char **text, int64_t *ret_days)
{
    int year, month, day;
    if (!take_number(text, 4, &year) || !take_char(text, "-") || !take_number(text, 2, &month) ||
        !take_char(text, "-") || !take_number(text, 2, &day))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1)
        return false;
    int64_t first = days_of(year, month, 1);
    int64_t next = month == 12 ? days_of(year + 1, 1, 1) : days_of(year, month + 1, 1);
    *ret_days = first + day - 1;
    return *ret_days < next;
}

/* Milliseconds from ".123456"; what is finer is cut. */
static bool take_fraction(const char **text, int64_t *ret_ms)
{
    int64_t ms = 0, weight = 100;
    if (**text < '0' || **text > '9')
        return false;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        ms += weight * (**text - '0');
        weight /= 10;
    }
    *ret_ms = ms;
    return true;
}

static bool take_time(const char **text, int64_t *ret_ms)
{
    int hour, minute, second = 0;
    int64_t fraction = 0;
    if (!take_number(text, 2, &hour) || !take_char(text, ":") || !take_number(text, 2, &minute))
        return false;
    if (take_char(text, ":")) {
        if (!take_number(text, 2, &second))
            return false;
        if (take_char(text, ".,") && !take_fraction(text, &fraction))
            return false;
    }
    *ret_ms = ((int64_t)hour * 3600 + minute * 60 + second) * 1000 + fraction;
    return hour < 24 && minute < 60 && second < 60;
}

/* Z, +hh, +hhmm or +hh:mm. */
static bool take_zone(const char **text, int64_t *ret_ms)
{
    int hours, minutes = 0;
    if (take_char(text, "Zz")) {
        *ret_ms = 0;
        return true;
    }
    int64_t sign = **text == '-' ? -1 : 1;
    if (!take_char(text, "+-") || !take_number(text, 2, &hours))
        return false;
    if ((take_char(text, ":") || **text != '\0') && !take_number(text, 2, &minutes))
        return false;
    *ret_ms = sign * ((int64_t)hours * 60 + minutes) * 60000;
    return hours < 24 && minutes < 60;
}

enum iso_verdict iso_parse(const char *text, struct wall *ret_wall)
{
    int64_t days, ms, zone;
    if (!take_date(&text, &days) || !take_char(&text, "Tt ") || !take_time(&text, &ms))
        return ISO_BAD;
    if (*text == '\0')
        return ISO_NO_ZONE;
    take_char(&text, " ");
    if (!take_zone(&text, &zone) || *text != '\0')
        return ISO_BAD;
    ret_wall->ms = days * 86400000 + ms - zone;
    return ISO_OK;
}
