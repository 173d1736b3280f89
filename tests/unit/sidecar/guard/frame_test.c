/* The frames between guard and sidecar: every byte that comes is checked (design part 3, Guard). */
#include "sidecar/guard/frame.h"

#include <check.h>
#include <stdlib.h>

static size_t written(char *buffer, size_t size)
{
    struct frame_out out = frame_begin(buffer, size, PROTO_VERSION, PROTO_START, 42);
    const struct proto_signal body = { .signum = 9 };
    frame_put(&out, &body, sizeof(body));
    frame_put_string(&out, "one");
    frame_put_string(&out, "");
    return frame_end(&out);
}

START_TEST(what_is_written_is_read)
{
    char buffer[128];
    size_t len = written(buffer, sizeof(buffer));
    struct frame frame;
    struct proto_signal body;
    char *strings[3];
    ck_assert(frame_parse(buffer, len, &frame));
    ck_assert_uint_eq(frame.header.id, 42);
    ck_assert_uint_eq(frame.header.type, PROTO_START);
    ck_assert(frame_take(&frame, &body, sizeof(body)));
    ck_assert_int_eq(body.signum, 9);
    ck_assert(frame_strings(&frame, 2, 2, strings));
    ck_assert_str_eq(strings[0], "one");
    ck_assert_str_eq(strings[1], "");
    ck_assert_ptr_null(strings[2]);
    ck_assert_uint_eq(frame.left, 0);
    ck_assert(!frame_string(&frame, strings));
    ck_assert(!frame_take(&frame, &body, 1));
}
END_TEST

/* Cut anywhere: never a frame, and never read beyond what came (under ASan). */
START_TEST(truncated)
{
    char buffer[128];
    size_t len = written(buffer, sizeof(buffer));
    for (size_t cut = 0; cut < len; cut++) {
        char *part = malloc(cut + 1);
        struct frame frame;
        memcpy(part, buffer, cut);
        ck_assert(!frame_parse(part, cut, &frame));
        free(part);
    }
}
END_TEST

/* A header that promises more, or less, than came; another magic; no version; no type. */
START_TEST(wrong_headers)
{
    static const struct {
        size_t offset;
        unsigned char value;
    } wrongs[] = { { 12, 5 }, { 12, 255 }, { 15, 255 }, { 0, 0 }, { 4, 0 }, { 6, 0 } };
    char buffer[128];
    struct frame frame;
    size_t len = written(buffer, sizeof(buffer));
    buffer[wrongs[_i].offset] = (char)wrongs[_i].value;
    ck_assert(!frame_parse(buffer, len, &frame));
}
END_TEST

START_TEST(longer_than_a_frame)
{
    static char buffer[PROTO_FRAME_MAX + 64];
    struct proto_header header = { PROTO_MAGIC, PROTO_VERSION, PROTO_START, 1,
                                   sizeof(buffer) - sizeof(struct proto_header) };
    struct frame frame;
    memcpy(buffer, &header, sizeof(header));
    ck_assert(!frame_parse(buffer, sizeof(buffer), &frame));
}
END_TEST

/* A string without an end, and more strings than there are or may be. */
START_TEST(strings_end_within_the_frame)
{
    char buffer[128];
    struct frame frame;
    char *strings[9];
    struct frame_out out = frame_begin(buffer, sizeof(buffer), PROTO_VERSION, PROTO_RUN, 1);
    frame_put(&out, "a\0b\0open", 8);
    ck_assert(frame_parse(buffer, frame_end(&out), &frame));
    ck_assert(!frame_strings(&frame, 3, 8, strings));
    ck_assert(frame_parse(buffer, out.len, &frame));
    ck_assert(!frame_strings(&frame, 2, 1, strings));
    ck_assert(!frame_strings(&frame, UINT32_MAX, 8, strings));
    ck_assert(frame_strings(&frame, 2, 8, strings));
}
END_TEST

/* What does not fit is told at the end, and nothing was written beyond. */
START_TEST(overflow)
{
    char buffer[24] = { 0 };
    struct frame_out out = frame_begin(buffer, 20, PROTO_VERSION, PROTO_RUN, 1);
    frame_put_string(&out, "too long");
    frame_put_string(&out, "");
    ck_assert_uint_eq(frame_end(&out), 0);
    for (size_t index = 16; index < sizeof(buffer); index++)
        ck_assert_int_eq(buffer[index], 0);
    out = frame_begin(buffer, 20, PROTO_VERSION, PROTO_RUN, 1);
    frame_put_string(&out, "abc");
    ck_assert_uint_eq(frame_end(&out), 20);
}
END_TEST

START_TEST(counting)
{
    const char *const words[] = { "a", "b", "c", NULL };
    ck_assert_uint_eq(frame_count(words, 8), 3);
    ck_assert_uint_eq(frame_count(words, 3), 3);
    ck_assert_uint_eq(frame_count(words, 2), 3);
    ck_assert_uint_eq(frame_count(words, 1), 2);
    ck_assert_uint_eq(frame_count(NULL, 8), 0);
}
END_TEST

/* "A sidecar speaks its own and the one before": the older of two neighbours, else none. */
START_TEST(versions)
{
    ck_assert_uint_eq(proto_agree(1, 1), 1);
    ck_assert_uint_eq(proto_agree(2, 1), 1);
    ck_assert_uint_eq(proto_agree(1, 2), 1);
    ck_assert_uint_eq(proto_agree(5, 4), 4);
    ck_assert_uint_eq(proto_agree(3, 1), 0);
    ck_assert_uint_eq(proto_agree(1, 3), 0);
    ck_assert_uint_eq(proto_agree(1, 0), 0);
    ck_assert_uint_eq(proto_agree(1, UINT16_MAX), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    TCase *tcase = tcase_create("bounds");
    tcase_add_test(tcase, what_is_written_is_read);
    tcase_add_test(tcase, truncated);
    tcase_add_loop_test(tcase, wrong_headers, 0, 6);
    tcase_add_test(tcase, longer_than_a_frame);
    tcase_add_test(tcase, strings_end_within_the_frame);
    tcase_add_test(tcase, overflow);
    tcase_add_test(tcase, counting);
    tcase_add_test(tcase, versions);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
