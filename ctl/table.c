/* Tables as patronictl prints them: pretty with a title in the first line, tsv, json, yaml. */
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "ctl/ctl.h"
#include "settings/yaml.h"

/* A cell's text in the caller's buffer. Objects (tags) as YAML blocks in pretty, else compact. */
static struct text cell_text(const json_t *cell, enum ctl_format format)
{
    struct text text = text_new(LIMIT_FILE);
    if (json_is_string(cell))
        text_add(&text, json_string_value(cell));
    else if (json_is_object(cell) && format == CTL_PRETTY)
        yaml_write(&text, cell);
    else if (cell != NULL && !json_is_null(cell))
        json_write_python(&text, cell);
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    return text;
}

/* ---- pretty ----------------------------------------------------------------------------------- */

static size_t display_width(const char *text, size_t len)
{
    size_t width = 0;
    for (size_t i = 0; i < len; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80 ? 1 : 0;
    return width;
}

static size_t widest_line(const char *text)
{
    size_t widest = 0;
    while (true) {
        size_t len = strcspn(text, "\n");
        size_t width = display_width(text, len);
        widest = width > widest ? width : widest;
        if (text[len] == '\0')
            return widest;
        text += len + 1;
    }
}

struct layout {
    const struct ctl_table *table;
    size_t width[CTL_COLUMNS];
    bool multiline; /* any cell: then every row is ruled off */
};

static void measure(struct layout *layout)
{
    const struct ctl_table *table = layout->table;
    for (size_t c = table->skip; c < table->n_columns; c++) {
        layout->width[c] = strlen(table->columns[c]);
        for (size_t r = 0; r < json_array_size(table->rows); r++) {
            struct text text =
                cell_text(json_array_get(json_array_get(table->rows, r), c), CTL_PRETTY);
            size_t width = widest_line(text_str(&text));
            layout->width[c] = width > layout->width[c] ? width : layout->width[c];
            layout->multiline |= strchr(text_str(&text), '\n') != NULL;
            text_done(&text);
        }
    }
}

static void add_repeated(struct text *to, char c, size_t n)
{
    while (n-- > 0)
        text_add_bytes(to, &c, 1);
}

/* The title replaces the beginning of the first rule. */
static void add_rule(struct text *to, const struct layout *layout, const char *title)
{
    auto_text struct text line = text_new(LIMIT_FILE);
    for (size_t c = layout->table->skip; c < layout->table->n_columns; c++) {
        text_add(&line, "+");
        add_repeated(&line, '-', layout->width[c] + 2);
    }
    text_add(&line, "+");
    size_t len = title != NULL ? strlen(title) : 0;
    if (line.len >= 2 && len > line.len - 2)
        len = line.len - 2;
    if (len > 0)
        memcpy(line.data + 1, title, len);
    text_addf(to, "%s\n", text_str(&line));
}

static void add_cell(struct text *to, const char *text, size_t len, size_t width, bool right)
{
    size_t blank = width - display_width(text, len);
    text_add(to, "| ");
    add_repeated(to, ' ', right ? blank : 0);
    text_add_bytes(to, text, len);
    add_repeated(to, ' ', (right ? 0 : blank) + 1);
}

/* The n-th line of a text; its length, 0 past the end. */
static const char *line_of(const char *text, size_t n, size_t *ret_len)
{
    for (size_t i = 0; i < n && text != NULL; i++) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    *ret_len = text != NULL ? strcspn(text, "\n") : 0;
    return text != NULL ? text : "";
}

static size_t count_lines(const char *text)
{
    size_t n = 1;
    for (; *text != '\0'; text++)
        n += *text == '\n' ? 1 : 0;
    return n;
}

static void add_row(struct text *to, const struct layout *layout, const json_t *row)
{
    const struct ctl_table *table = layout->table;
    struct text cells[CTL_COLUMNS];
    size_t lines = 1;
    for (size_t c = table->skip; c < table->n_columns; c++) {
        cells[c] = cell_text(json_array_get(row, c), CTL_PRETTY);
        size_t n = count_lines(text_str(&cells[c]));
        lines = n > lines ? n : lines;
    }
    for (size_t line = 0; line < lines; line++) {
        for (size_t c = table->skip; c < table->n_columns; c++) {
            size_t len;
            const char *text = line_of(text_str(&cells[c]), line, &len);
            add_cell(to, text, len, layout->width[c], table->right[c]);
        }
        text_add(to, "|\n");
    }
    for (size_t c = table->skip; c < table->n_columns; c++)
        text_done(&cells[c]);
}

static void write_pretty(struct text *to, const struct ctl_table *table)
{
    struct layout layout = { .table = table };
    measure(&layout);
    add_rule(to, &layout, table->title);
    for (size_t c = table->skip; c < table->n_columns; c++)
        add_cell(to, table->columns[c], strlen(table->columns[c]), layout.width[c],
                 table->right[c]);
    text_add(to, "|\n");
    add_rule(to, &layout, NULL);
    for (size_t r = 0; r < json_array_size(table->rows); r++) {
        if (r > 0 && layout.multiline)
            add_rule(to, &layout, NULL);
        add_row(to, &layout, json_array_get(table->rows, r));
    }
    add_rule(to, &layout, NULL);
}

/* ---- for machines ----------------------------------------------------------------------------- */

static void write_tsv(struct text *to, const struct ctl_table *table)
{
    for (size_t c = 0; c < table->n_columns; c++)
        text_addf(to, "%s%s", c > 0 ? "\t" : "", table->columns[c]);
    text_add(to, "\n");
    for (size_t r = 0; r < json_array_size(table->rows); r++) {
        for (size_t c = 0; c < table->n_columns; c++) {
            auto_text struct text text =
                cell_text(json_array_get(json_array_get(table->rows, r), c), CTL_TSV);
            text_addf(to, "%s%s", c > 0 ? "\t" : "", text_str(&text));
        }
        text_add(to, "\n");
    }
}

static json_t *as_objects(const struct ctl_table *table, bool drop_empty)
{
    json_t *list = json_array();
    for (size_t r = 0; r < json_array_size(table->rows); r++) {
        json_t *object = json_object();
        for (size_t c = 0; c < table->n_columns; c++) {
            json_t *cell = json_array_get(json_array_get(table->rows, r), c);
            bool empty = json_is_string(cell) && json_string_value(cell)[0] == '\0';
            if (!empty || !drop_empty)
                json_object_set(object, table->columns[c], cell);
        }
        json_array_append_new(list, object);
    }
    return list;
}

void ctl_table_write(struct text *to, const struct ctl_table *table, enum ctl_format format,
                     bool drop_empty)
{
    if (format == CTL_PRETTY) {
        write_pretty(to, table);
        return;
    }
    if (format == CTL_TSV) {
        write_tsv(to, table);
        return;
    }
    auto_json json_t *list = as_objects(table, drop_empty);
    if (format == CTL_JSON) {
        json_write_python(to, list);
        text_add(to, "\n");
    } else {
        yaml_write(to, list);
    }
}

void ctl_table_print(const struct ctl_table *table, enum ctl_format format, bool drop_empty)
{
    auto_text struct text text = text_new(LIMIT_HTTP_BODY);
    ctl_table_write(&text, table, format, drop_empty);
    fputs(text_str(&text), stdout);
}
