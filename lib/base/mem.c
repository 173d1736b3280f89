#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *mem_new(size_t size)
{
    void *pointer = calloc(1, size > 0 ? size : 1);
    if (pointer == NULL)
        abort();
    return pointer;
}

void *mem_array(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        abort();
    return mem_new(count * size);
}

void *mem_grow(void *pointer, size_t size)
{
    void *grown = realloc(pointer, size > 0 ? size : 1);
    if (grown == NULL)
        abort();
    return grown;
}

char *mem_strdup(const char *string)
{
    return string == NULL ? NULL : mem_strndup(string, strlen(string));
}

char *mem_strndup(const char *string, size_t len)
{
    size_t n = strnlen(string, len);
    char *copy = mem_new(n + 1);
    memcpy(copy, string, n);
    return copy;
}
