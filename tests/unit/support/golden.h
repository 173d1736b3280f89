#pragma once
/* Golden files: texts in tests/golden whose change is to be seen in a diff. Tests run in the root of
 * the tree. */

/* Fails the test where the text is not the file's; says the first line that differs. With
 * PGVIGIL_WRITE_GOLDEN set the file is written instead. */
void golden_compare(const char *name, const char *text);
/* The whole file; the caller frees it. A missing file fails the test. */
char *golden_read(const char *name);
