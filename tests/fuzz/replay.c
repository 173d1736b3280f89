/* The main of a harness that is run as a test: every file of its corpus, once. Prints what tests/unit.sh
 * counts. */
#include <dirent.h>

#include "fuzz.h"

enum { REPLAY_MAX = 1 << 20 };

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    uint8_t *bytes = mem_new(REPLAY_MAX);
    size_t size = fread(bytes, 1, REPLAY_MAX, file);
    (void)fclose(file);
    /* A copy of just this size, for AddressSanitizer. */
    uint8_t *exact = mem_new(size + (size == 0));
    memcpy(exact, bytes, size);
    free(bytes);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash != NULL ? slash + 1 : argv[0];
    const char *end = strstr(name, "_fuzz");
    char folder[512];
    (void)snprintf(folder, sizeof(folder), "tests/fuzz/corpus/%.*s",
                   (int)(end != NULL ? end - name : (long)strlen(name)), name);
    if (argc > 1)
        (void)snprintf(folder, sizeof(folder), "%s", argv[1]);
    DIR *dir = opendir(folder);
    int checks = 0;
    int failures = 0;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char path[1024];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        /* Before it runs: the last line names the input that ended the program. */
        fprintf(stderr, "%s\n", path);
        checks++;
        failures += replay_file(path) != 0;
    }
    if (dir != NULL)
        closedir(dir);
    printf("100%%: Checks: %d, Failures: %d, Errors: 0\n", checks, failures);
    return checks == 0 || failures > 0;
}
