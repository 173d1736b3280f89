#pragma once
/* Checked allocation: out of memory aborts (dying at any instruction is safe by design part 3), so
 * that no caller tests for NULL. */
#include <stddef.h>

void *mem_new(size_t size);                 /* zeroed */
void *mem_array(size_t count, size_t size); /* zeroed; aborts on overflow */
void *mem_grow(void *pointer, size_t size); /* realloc */
char *mem_strdup(const char *string);       /* NULL gives NULL */
char *mem_strndup(const char *string, size_t len);

#define mem_struct(type) ((type *)mem_new(sizeof(type)))
