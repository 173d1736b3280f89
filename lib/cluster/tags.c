#include "cluster/tags.h"

struct tags tags_default(void)
{
    return (struct tags){ .failover_priority = 1, .sync_priority = 1 };
}
