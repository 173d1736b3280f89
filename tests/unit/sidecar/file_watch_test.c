#include "sidecar/file_watch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../support/until.h"

static struct loop *loop;
static struct file_watch *watch;
static char dir[] = "/tmp/file-watch-XXXXXX";
static char first[64], second[64];
static int told;

static void on_change(void *arg)
{
    (void)arg;
    told++;
}

static bool was_told(void *arg)
{
    return told >= *(const int *)arg;
}

static bool expect(int n)
{
    return until(loop, was_told, &n, 5000);
}

static void stays(void)
{
    int more = told + 1;
    ck_assert(!until(loop, was_told, &more, 100));
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(first, sizeof(first), "%s/cert", dir);
    (void)snprintf(second, sizeof(second), "%s/key", dir);
    put(first, "a");
    told = 0;
    loop = loop_new();
    const char *const paths[] = { first, second, NULL };
    const struct file_watch_spec spec = {
        .loop = loop, .paths = paths, .pace_ms = 10, .changed = on_change
    };
    watch = file_watch_new(&spec);
}

static void teardown(void)
{
    file_watch_free(watch);
    loop_free(loop);
    (void)unlink(first);
    (void)unlink(second);
    (void)rmdir(dir);
}

/* What is there at first is no change; then each change is told once: another content, a file that was
 * missing, one of the same content in its place (as Kubernetes does it), one that is gone. */
START_TEST(changes)
{
    stays();
    put(first, "bb");
    ck_assert(expect(1));
    stays();
    put(second, "k");
    ck_assert(expect(2));
    char other[64];
    (void)snprintf(other, sizeof(other), "%s/other", dir);
    put(other, "k");
    ck_assert_int_eq(rename(other, second), 0);
    ck_assert(expect(3));
    ck_assert_int_eq(unlink(second), 0);
    ck_assert(expect(4));
    stays();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file_watch");
    TCase *tcase = tcase_create("file_watch");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, changes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
