#pragma once
/* A harness is one function, libFuzzer's, in a file <name>_fuzz.c. It is built twice: with libFuzzer
 * (`make fuzz`), and with replay.c as a test that runs corpus/<name>/ (`make unit`). Inputs begin with
 * a letter that says what is read, so that one corpus serves several readers and can be written by
 * hand. A harness that is not content aborts. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever came in. */
#define FUZZ_HOLDS(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input behind its letter, exactly as long as it is and 0-terminated: a reader that goes too far
 * is seen by AddressSanitizer. The caller frees it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = mem_new(size + 1);
    memcpy(text, data, size);
    return text;
}
