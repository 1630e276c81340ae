/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/panel.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "cli/out.h"
#include "cli/screen.h"
#include "cli/table.h"
#include "core/state.h"

enum { PANEL_MAX = 16 << 20, CUT = 100 };

static void spaces(struct kr_buf *out, int n)
{
    for (int i = 0; i < n; i++)
        kr_buf_addc(out, ' ');
}

/* "active_stack" as "Active stack". Caller frees. */
static char *label_of(const char *key)
{
    char *label = kr_strdup(key);

    for (char *c = label; *c != '\0'; c++)
        *c = *c == '_' ? ' ' : *c;
    if (label[0] >= 'a' && label[0] <= 'z')
        label[0] = (char)(label[0] - 'a' + 'A');
    return label;
}

static bool is_empty(const json_t *value)
{
    return value == NULL || json_is_null(value) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

static void add_line(struct kr_buf *out, int indent, int column, const char *label,
                     const char *text)
{
    kr_auto_free char *safe = kr_strdup(text);

    kr_printable(safe);
    spaces(out, indent);
    kr_buf_adds(out, label);
    if (safe[0] != '\0') {
        spaces(out, column - kr_term_columns(label) > 2 ? column - kr_term_columns(label) : 2);
        kr_buf_adds(out, safe);
    }
    kr_buf_addc(out, '\n');
}

/* Keys of an object, aligned; nested objects below theirs. cut: longest text, 0: any. */
static void add_object(struct kr_buf *out, const json_t *object, int indent, size_t cut,
                       bool labels)
{
    json_t *all = (json_t *)(uintptr_t)object, *value;
    const char *key;
    int column = 0;

    json_object_foreach(all, key, value)
    {
        if (!is_empty(value) && kr_term_columns(key) + 2 > column)
            column = kr_term_columns(key) + 2;
    }
    json_object_foreach(all, key, value)
    {
        kr_auto_free char *label = labels ? label_of(key) : kr_strdup(key);
        kr_auto_free char *text = NULL;

        kr_printable(label);

        if (is_empty(value))
            continue;
        if (json_is_object(value)) {
            add_line(out, indent, column, label, "");
            add_object(out, value, indent + 2, cut, false);
            continue;
        }
        text =
            json_is_boolean(value) ? kr_strdup(json_is_true(value) ? "yes" : "no") : kr_cell(value);
        if (cut > 0 && strlen(text) > cut) {
            size_t n = cut;

            while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
                n--;
            (void)snprintf(text + n, 4, "...");
        }
        add_line(out, indent, column, label, text);
    }
}

int kr_panel_object(struct kr_cli *cli, const char *title, const json_t *object, struct kr_err *err)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(PANEL_MAX);

    if (title != NULL) {
        kr_auto_free char *safe = kr_strdup(title);

        kr_printable(safe);
        kr_buf_addf(&out, "%s%s%s\n", kr_style(&cli->out, KR_BOLD), safe,
                    kr_style(&cli->out, KR_PLAIN));
    }
    add_object(&out, object, title != NULL ? 2 : 0, 0, true);
    if (kr_buf_check(&out, err) < 0)
        return -(int)err->code;
    kr_out(cli, &out);
    return 0;
}

int kr_panel_pairs(struct kr_cli *cli, const char *left, const char *right, const json_t *pairs,
                   struct kr_err *err)
{
    kr_auto_table struct kr_table *table = kr_table_create(&cli->out);
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(PANEL_MAX);
    const char *key;
    json_t *value;

    kr_table_column(table, left, KR_KEEP);
    kr_table_column(table, right, KR_KEEP);
    json_object_foreach((json_t *)(uintptr_t)pairs, key, value)
    {
        kr_auto_free char *text = kr_cell(value);

        kr_table_row(table);
        kr_table_cell(table, 0, key, KR_PLAIN);
        kr_table_cell(table, 1, text, KR_PLAIN);
    }
    (void)kr_table_draw(table, &out);
    if (kr_buf_check(&out, err) < 0)
        return -(int)err->code;
    kr_out(cli, &out);
    return 0;
}

struct panel {
    struct kr_cli *cli;
    const json_t *row;
    const struct kr_deployment_panel *what;
    struct kr_buf *out;
};

static void heading(struct panel *p, const char *text)
{
    kr_buf_addf(p->out, "\n%s%s%s\n", kr_style(&p->cli->out, KR_BOLD), text,
                kr_style(&p->cli->out, KR_PLAIN));
}

static enum kr_style status_style(enum kr_state state)
{
    return state == KR_STATE_RUNNING   ? KR_GREEN
           : state == KR_STATE_ERROR   ? KR_RED
           : state == KR_STATE_PENDING ? KR_YELLOW
                                       : KR_DIM;
}

static void add_head(struct panel *p)
{
    const char *status = kr_json_str(p->row, "status", "unknown");
    enum kr_state state = kr_state_parse(status);
    const struct kr_term *term = &p->cli->out;
    kr_auto_free char *name = kr_strdup(kr_json_str(p->row, "name", ""));

    kr_printable(name);
    kr_buf_addf(p->out, "%s%s%s %s%s%s%s%s\n", kr_style(term, KR_BOLD), name,
                kr_style(term, KR_PLAIN), term->live ? kr_state_emoji(state) : "",
                term->live ? " " : "", kr_style(term, status_style(state)), status,
                kr_style(term, KR_PLAIN));
}

static void add_fact(struct panel *p, const char *label, const char *text)
{
    if (text != NULL && text[0] != '\0')
        add_line(p->out, 2, 12, label, text);
}

static void add_facts(struct panel *p)
{
    const json_t *row = p->row;
    const char *url = kr_json_str(row, "url", NULL), *key = kr_json_str(row, "auth_key", NULL);
    const char *flavor = kr_json_str(row, "flavor", NULL);
    const char *deployer = kr_json_str(row, "deployer", NULL);
    const char *snapshot = kr_json_str(row, "snapshot", NULL);
    kr_auto_free char *docs = NULL, *by = NULL, *masked = NULL;

    add_fact(p, "Pipeline", kr_json_str(row, "pipeline", NULL));
    add_fact(p, "Snapshot", snapshot != NULL ? snapshot : kr_json_str(row, "snapshot_id", NULL));
    add_fact(p, "Stack", kr_json_str(row, "stack", NULL));
    if (flavor != NULL)
        by = deployer != NULL ? kr_asprintf("%s (%s)", deployer, flavor) : kr_strdup(flavor);
    add_fact(p, "Deployer", by);
    add_fact(p, "Detail", kr_json_str(row, "state_note", NULL));
    add_fact(p, "Error", kr_json_str(row, "error", NULL));
    add_fact(p, "Tried and failed", kr_json_str(row, "tried_snapshot_id", NULL));
    if (url != NULL && url[0] != '\0') {
        size_t n = strlen(url);

        docs = kr_asprintf("%.*s/docs", (int)(url[n - 1] == '/' ? n - 1 : n), url);
        add_fact(p, "Endpoint", url);
        add_fact(p, "API docs", docs);
    }
    if (kr_json_str(row, "page_url", NULL) != NULL &&
        (url == NULL || strcmp(kr_json_str(row, "page_url", ""), url) != 0))
        add_fact(p, "Page", kr_json_str(row, "page_url", NULL));
    if (key != NULL && key[0] != '\0') {
        masked = p->what->show_secret ? kr_strdup(key)
                                      : kr_asprintf("%s  (--show-secret shows it)", key);
        add_fact(p, "Auth key", masked);
    }
    add_fact(p, "Created", kr_json_str(row, "created", NULL));
    add_fact(p, "Updated", kr_json_str(row, "updated", NULL));
}

/* Examples may have several lines; they are shown as they are, to be copied. */
static void add_example(struct panel *p, const char *text)
{
    while (text != NULL && *text != '\0') {
        size_t n = strcspn(text, "\n");
        kr_auto_free char *line = kr_strndup(text, n);

        kr_printable(line);
        kr_buf_addf(p->out, "  %s\n", line);
        text += text[n] != '\0' ? n + 1 : n;
    }
}

static void add_schema(struct panel *p, const char *key, const char *title)
{
    const json_t *schema = json_object_get(p->row, key);
    kr_auto_free char *text = NULL;

    if (is_empty(schema))
        return;
    heading(p, title);
    text = kr_json_pretty(schema);
    add_example(p, text);
}

static void add_history(struct panel *p)
{
    const json_t *events = json_object_get(p->row, "history"), *event;
    int width = 0;
    size_t i;

    if (is_empty(events) || p->what->after_deploy)
        return;
    json_array_foreach(events, i, event)
    {
        int n = (int)strlen(kr_json_str(event, "what", ""));

        width = n > width ? n : width;
    }
    heading(p, "History");
    json_array_foreach(events, i, event)
    {
        kr_auto_free char *line =
            kr_asprintf("%s  %-*s  %s", kr_json_str(event, "at", ""), width,
                        kr_json_str(event, "what", ""), kr_json_str(event, "detail", ""));
        size_t n;

        kr_printable(line);
        for (n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
            line[n - 1] = '\0';
        kr_buf_addf(p->out, "  %s\n", line);
    }
}

static void add_management(struct panel *p)
{
    kr_auto_free char *name = kr_strdup(kr_json_str(p->row, "name", ""));
    const char *prog = p->cli->prog;

    kr_printable(name);
    heading(p, "Manage it");
    kr_buf_addf(p->out, "  %s deployment logs %s -f\n", prog, name);
    kr_buf_addf(p->out, "  %s deployment describe %s\n", prog, name);
    kr_buf_addf(p->out, "  %s deployment deprovision %s\n", prog, name);
    kr_buf_addf(p->out, "  %s deployment delete %s\n", prog, name);
}

int kr_panel_deployment(struct kr_cli *cli, const json_t *row,
                        const struct kr_deployment_panel *what, struct kr_err *err)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(PANEL_MAX);
    struct panel p = {.cli = cli, .row = row, .what = what, .out = &out};
    const char *invoke = kr_json_str(row, "invoke_example", NULL);
    const char *curl = kr_json_str(row, "curl_example", NULL);

    add_head(&p);
    add_facts(&p);
    if (invoke != NULL || curl != NULL)
        heading(&p, "Call it");
    add_example(&p, invoke);
    add_example(&p, curl);
    if (what->show_schema) {
        add_schema(&p, "input_schema", "Input schema");
        add_schema(&p, "output_schema", "Output schema");
    }
    if (what->show_metadata && !is_empty(json_object_get(row, "metadata"))) {
        heading(&p, "Metadata");
        add_object(&out, json_object_get(row, "metadata"), 2, what->no_truncate ? 0 : CUT, false);
    }
    add_history(&p);
    add_management(&p);
    if (kr_buf_check(&out, err) < 0)
        return -(int)err->code;
    kr_out(cli, &out);
    return 0;
}
