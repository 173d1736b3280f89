/* docs/configuration.md is what the option table says. Where it is not, run this program from the top
 * folder with PGVIGIL_WRITE_GOLDEN=1 and look at the difference. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings/settings.h"

static const char path[] = "docs/configuration.md";

static char *printed(void (*print)(FILE *to))
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(to);
    print(to);
    fclose(to);
    return text;
}

static char *read_golden(void)
{
    static char golden[1 << 17];
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s is missing (or this does not run in the top folder)", path);
    size_t len = fread(golden, 1, sizeof(golden) - 1, file);
    fclose(file);
    golden[len] = '\0';
    return golden;
}

START_TEST(docs_are_up_to_date)
{
    char *text = printed(settings_print_reference);
    if (getenv("PGVIGIL_WRITE_GOLDEN") != NULL) {
        FILE *file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        fputs(text, file);
        fclose(file);
    }
    const char *golden = read_golden();
    size_t same = 0;
    while (text[same] != '\0' && text[same] == golden[same])
        same++;
    ck_assert_msg(strcmp(text, golden) == 0,
                  "%s differs from the option table at byte %zu: %.60s (see the top of this test)",
                  path, same, text + same);
    free(text);
}
END_TEST

/* Every option that is not ignored is explained in --help. */
START_TEST(help_names_every_option)
{
    char *text = printed(settings_print_help);
    struct option_table table = option_table();
    for (size_t i = 0; i < table.n; i++)
        if (!table.rows[i].unsupported)
            ck_assert_ptr_nonnull(strstr(text, table.rows[i].path));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reference");
    TCase *tc = tcase_create("reference");
    tcase_add_test(tc, docs_are_up_to_date);
    tcase_add_test(tc, help_names_every_option);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
