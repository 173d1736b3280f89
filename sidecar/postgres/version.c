#include "sidecar/postgres/version.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int version_parse(const char *text)
{
    static const char before[] = "(PostgreSQL) ";
    const char *at = strstr(text, before);
    char *end;
    if (at == NULL)
        return 0;
    long major = strtol(at + strlen(before), &end, 10);
    if (major < 10 || major > 99)
        return 0;
    long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    return (int)(major * 10000 + (minor > 0 && minor < 10000 ? minor : 0));
}

bool version_waits_from_the_start(int version)
{
    static const int fixed[] = { 130021, 140018, 150013, 160009, 170005 };
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        if (version / 10000 == fixed[i] / 10000)
            return version >= fixed[i];
    return version >= 180000;
}
