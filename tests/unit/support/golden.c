#include "golden.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

static FILE *open_golden(const char *name, const char *mode)
{
    char path[LIMIT_PATH];
    (void)snprintf(path, sizeof(path), "tests/golden/%s", name);
    FILE *file = fopen(path, mode);
    ck_assert_msg(file != NULL, "%s cannot be opened (tests run in the root of the tree)", path);
    return file;
}

char *golden_read(const char *name)
{
    FILE *file = open_golden(name, "r");
    char *text = mem_new(LIMIT_FILE);
    size_t len = fread(text, 1, LIMIT_FILE - 1, file);
    text[len] = '\0';
    (void)fclose(file);
    return text;
}

static void write_golden(const char *name, const char *text)
{
    FILE *file = open_golden(name, "w");
    (void)fputs(text, file);
    (void)fclose(file);
}

void golden_compare(const char *name, const char *text)
{
    if (getenv("PGVIGIL_WRITE_GOLDEN") != NULL)
        write_golden(name, text);
    char *golden = golden_read(name);
    size_t line = 0; /* where the line begins that is compared */
    size_t at = 0;
    while (text[at] != '\0' && text[at] == golden[at])
        if (text[at++] == '\n')
            line = at;
    ck_assert_msg(text[at] == golden[at],
                  "tests/golden/%s (PGVIGIL_WRITE_GOLDEN=1 takes the change over):\n"
                  "expected %.*s\n     got %.*s",
                  name, (int)strcspn(golden + line, "\n"), golden + line,
                  (int)strcspn(text + line, "\n"), text + line);
    free(golden);
}
