/* The server's own copy of its settings: where they came from may go away at any reload. */
#include <stdlib.h>

#include "base/mem.h"
#include "server_internal.h"

/* Every text of the section, so that copying and freeing cannot forget one. */
enum { SETTINGS_TEXTS = 9 };

static void texts_of(struct api_settings *settings, const char **ret_texts[SETTINGS_TEXTS])
{
    const char **const texts[SETTINGS_TEXTS] = {
        &settings->host,     &settings->certfile, &settings->keyfile,
        &settings->cafile,   &settings->ciphers,  &settings->keyfile_password,
        &settings->username, &settings->password, &settings->server_tokens,
    };
    for (size_t i = 0; i < SETTINGS_TEXTS; i++)
        ret_texts[i] = texts[i];
}

static const char *const *copy_list(const char *const *list, size_t n)
{
    const char **copy = mem_array(n + 1, sizeof(copy[0]));
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_strdup(list[i]);
    return copy;
}

static void free_list(const char *const *list, size_t n)
{
    for (size_t i = 0; list != NULL && i < n; i++)
        free((void *)(uintptr_t)list[i]);
    free((void *)(uintptr_t)list);
}

struct api_settings server_settings_copy(const struct api_settings *settings)
{
    struct api_settings copy = *settings;
    const char **texts[SETTINGS_TEXTS];
    texts_of(&copy, texts);
    for (size_t i = 0; i < SETTINGS_TEXTS; i++)
        *texts[i] = mem_strdup(*texts[i]);
    copy.allowlist = copy_list(settings->allowlist, settings->n_allowlist);
    copy.headers = copy_list(settings->headers, settings->n_headers);
    return copy;
}

void server_settings_done(struct api_settings *settings)
{
    const char **texts[SETTINGS_TEXTS];
    texts_of(settings, texts);
    for (size_t i = 0; i < SETTINGS_TEXTS; i++)
        free((void *)(uintptr_t)*texts[i]);
    free_list(settings->allowlist, settings->n_allowlist);
    free_list(settings->headers, settings->n_headers);
    *settings = (struct api_settings){ 0 };
}
