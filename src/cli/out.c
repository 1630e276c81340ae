/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/redact.h"
#include "base/yaml.h"
#include "cli/screen.h"
#include "cli/view.h"

enum { OUT_MAX = 256 << 20 };

const char *const kr_format_names[] = {"table", "json", "yaml", "csv", "tsv", "wide", NULL};

int kr_format_of(const char *name, enum kr_format *format, struct kr_err *err)
{
    bool wide;

    return kr_format_of_list(name, format, &wide, err);
}

int kr_format_of_list(const char *name, enum kr_format *format, bool *wide, struct kr_err *err)
{
    static const char *const variables[] = {"KOUROU_DEFAULT_OUTPUT", "ZENML_DEFAULT_OUTPUT"};
    const char *where = "--output";

    for (size_t i = 0; name == NULL && i < KR_ARRAY_LEN(variables); i++) {
        name = kr_env_get(variables[i]);
        where = variables[i];
    }
    *format = KR_TABLE;
    *wide = false;
    if (name == NULL)
        return 0;
    for (int i = 0; kr_format_names[i] != NULL; i++) {
        if (strcmp(kr_format_names[i], name) == 0) {
            *wide = i == KR_WIDE;
            *format = *wide ? KR_TABLE : (enum kr_format)i;
            return 0;
        }
    }
    return kr_fail(err, KR_E_USAGE, "%s is one of table|json|yaml|csv|tsv|wide, not '%s'", where,
                   name);
}

/* Why stdout could not be written, from the first time; 0: it could. */
static int first_errno;

static void remember_errno(void)
{
    if (first_errno == 0)
        first_errno = errno;
}

static void write_out(struct kr_cli *cli, struct kr_buf *text)
{
    if (text->n == 0)
        return;
    if (!cli->reveal)
        kr_redact(text->p, text->n);
    kr_view_clear(cli->view);
    if (fwrite(text->p, 1, text->n, stdout) != text->n)
        remember_errno();
}

void kr_out(struct kr_cli *cli, struct kr_buf *text)
{
    text->n = text->n > 0 ? kr_screen(&cli->out, text->p, text->n) : 0;
    write_out(cli, text);
}

void kr_out_data(struct kr_cli *cli, struct kr_buf *text)
{
    if (text->n > 0 && cli->out.tty)
        text->n = kr_screen(&cli->out, text->p, text->n);
    write_out(cli, text);
}

void kr_out_text(struct kr_cli *cli, const char *text)
{
    kr_auto_buf struct kr_buf copy = KR_BUF_INIT(OUT_MAX);

    kr_buf_adds(&copy, text);
    kr_out(cli, &copy);
}

void kr_out_value(struct kr_cli *cli, enum kr_format format, const json_t *value)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(OUT_MAX);

    if (format == KR_YAML) {
        kr_yaml_write(value, &text);
        if (text.n > 0 && text.p[text.n - 1] != '\n')
            kr_buf_addc(&text, '\n');
    } else {
        kr_auto_free char *json = kr_json_pretty(value);

        if (cli->out.tty)
            kr_screen_json(json, &text);
        else
            kr_buf_adds(&text, json);
        kr_buf_addc(&text, '\n');
    }
    kr_out_data(cli, &text);
}

static void add_cell(struct kr_buf *out, const json_t *value, int depth)
{
    const char *key;
    const json_t *item;
    size_t i;

    if (json_is_string(value) && kr_json_wide(value) == NULL) {
        kr_buf_adds(out, json_string_value(value));
    } else if (json_is_array(value) && depth == 0) {
        json_array_foreach(value, i, item)
        {
            kr_buf_adds(out, i > 0 ? ", " : "");
            add_cell(out, item, depth + 1);
        }
    } else if (json_is_object(value) && depth == 0) {
        bool first = true;

        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            kr_buf_addf(out, "%s%s=", first ? "" : ", ", key);
            add_cell(out, item, depth + 1);
            first = false;
        }
    } else if (value != NULL && !json_is_null(value)) {
        kr_auto_free char *text = kr_json_canonical(value);
        kr_buf_adds(out, text);
    }
}

char *kr_cell(const json_t *value)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(OUT_MAX);

    add_cell(&out, value, 0);
    return kr_buf_steal(&out);
}

static void add_csv(struct kr_buf *out, enum kr_format format, const char *text)
{
    if (format == KR_TSV) { /* tabs and line ends cannot be quoted there */
        for (; *text != '\0'; text++)
            kr_buf_addc(out, *text == '\t' || *text == '\n' || *text == '\r' ? ' ' : *text);
        return;
    }
    if (strpbrk(text, ",\"\r\n") == NULL) {
        kr_buf_adds(out, text);
        return;
    }
    kr_buf_addc(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            kr_buf_addc(out, '"');
        kr_buf_addc(out, *text);
    }
    kr_buf_addc(out, '"');
}

void kr_out_rows(struct kr_cli *cli, enum kr_format format, const json_t *columns,
                 const json_t *rows)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(OUT_MAX);
    char sep = format == KR_TSV ? '\t' : ',';
    const json_t *column, *row;
    size_t i, r;

    json_array_foreach(columns, i, column)
    {
        if (i > 0)
            kr_buf_addc(&text, sep);
        add_csv(&text, format, json_string_value(column));
    }
    kr_buf_addc(&text, '\n');
    json_array_foreach(rows, r, row)
    {
        json_array_foreach(columns, i, column)
        {
            kr_auto_free char *cell = kr_cell(json_object_get(row, json_string_value(column)));

            if (i > 0)
                kr_buf_addc(&text, sep);
            add_csv(&text, format, cell);
        }
        kr_buf_addc(&text, '\n');
    }
    kr_out_data(cli, &text);
}

void kr_out_row(struct kr_cli *cli, enum kr_format format, const json_t *row)
{
    kr_auto_json json_t *columns = json_array(), *rows = json_array();
    const char *key;
    const json_t *value;

    if (format == KR_JSON || format == KR_YAML) {
        kr_out_value(cli, format, row);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)row, key, value)(void)
        json_array_append_new(columns, json_string(key));
    (void)json_array_append(rows, (json_t *)(uintptr_t)row);
    kr_out_rows(cli, format, columns, rows);
}

static int flush_stdout(void)
{
    if (fflush(stdout) != 0)
        remember_errno();
    return first_errno != 0 ? first_errno : ferror(stdout) != 0 ? EIO : 0;
}

void kr_out_flush(void)
{
    (void)flush_stdout();
}

bool kr_out_is_unread(void)
{
    return first_errno == EPIPE;
}

int kr_out_finish(struct kr_err *err)
{
    int code = flush_stdout();

    return code == 0 ? 0 : kr_fail_errno(err, code, "cannot write to standard output");
}

void kr_say(struct kr_cli *cli, enum kr_note kind, const char *fmt, ...)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(65536);
    va_list args;

    va_start(args, fmt);
    kr_buf_vaddf(&text, fmt, args);
    va_end(args);
    (void)flush_stdout(); /* so that lines come in order where both go to the same place */
    kr_view_note(cli->view, kind, kr_buf_str(&text));
}
