/* Questions as patronictl asks them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clean.h"
#include "base/mem.h"
#include "ctl/ctl.h"

int ctl_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("Error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return CTL_FAILED;
}

char *ctl_ask(const char *question, const char *fallback)
{
    char line[LIMIT_PATH];
    printf("%s [%s]: ", question, fallback);
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin) == NULL) {
        printf("\n");
        return mem_strdup(fallback); /* nobody there; the last question asks for a yes */
    }
    line[strcspn(line, "\r\n")] = '\0';
    return mem_strdup(line[0] != '\0' ? line : fallback);
}

bool ctl_confirm(const char *question)
{
    auto_text struct text text = text_new(LIMIT_LOG_LINE);
    text_add(&text, question);
    auto_free char *answer = ctl_ask(text_str(&text), "y/N");
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}
