#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t clock_read(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct mono clock_mono(void)
{
    return (struct mono){ clock_read(CLOCK_BOOTTIME) };
}

struct wall clock_wall(void)
{
    return (struct wall){ clock_read(CLOCK_REALTIME) };
}

const char *clock_iso(struct wall at, char buffer[CLOCK_ISO_MAX])
{
    time_t seconds = (time_t)(at.ms / 1000);
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    char date[24];
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(buffer, CLOCK_ISO_MAX, "%s.%06d+00:00", date, (int)(at.ms % 1000) * 1000);
    return buffer;
}
