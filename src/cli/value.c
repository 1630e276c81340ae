/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/value.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "base/view.h"
#include "base/yaml.h"

int kr_value_string(const char *what, const char *text, json_t **out, struct kr_err *err)
{
    json_t *value = json_string(text);

    if (value == NULL)
        return kr_fail(err, KR_E_USAGE, "the value of %s is not UTF-8 text", what);
    *out = value;
    return 0;
}

/* All of standard input. Who types a value is asked for it elsewhere, without an echo. */
static int read_stdin(const char *what, struct kr_buf *text, struct kr_err *err)
{
    static bool taken;
    char bytes[4096];
    ssize_t n;

    if (taken)
        return kr_fail(err, KR_E_USAGE, "%s: standard input was the value of an option already",
                       what);
    taken = true;
    if (isatty(STDIN_FILENO) == 1)
        return kr_fail(err, KR_E_USAGE, "%s: standard input is a terminal", what),
               kr_hint(err, "send the value through a pipe, or from a file: %s=- < FILE", what);
    while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR))
        kr_buf_add(text, bytes, n > 0 ? (size_t)n : 0);
    if (n < 0)
        return kr_fail_errno(err, errno, "%s: standard input", what);
    if (text->failed)
        return kr_fail(err, KR_E_USAGE, "%s: standard input has more than %d bytes", what,
                       KR_AT_FILE_MAX);
    return 0;
}

/* `-` is a value that was sent by `echo`: its line end is not part of it. */
static void cut_line_end(struct kr_buf *text)
{
    if (text->n > 0 && text->p[text->n - 1] == '\n')
        text->p[--text->n] = '\0';
    if (text->n > 0 && text->p[text->n - 1] == '\r')
        text->p[--text->n] = '\0';
}

/* The text of what "@file" names. */
static int read_at(const char *what, const char *name, struct kr_buf *text, struct kr_err *err)
{
    kr_auto_free char *path = kr_path_expand_home(name);

    if (!kr_path_exists(path))
        return kr_fail(err, KR_E_USAGE, "%s: there is no file '%s'", what, name),
               kr_hint(err, "'@' at the start of a value reads a file; write '@@' for a plain '@'");
    if (kr_path_is_dir(path))
        return kr_fail(err, KR_E_USAGE, "%s: '%s' is a folder, not a file", what, name);
    if (kr_file_read(path, text, err) < 0) {
        if (err->code != KR_E_LIMIT)
            return kr_wrap(err, "%s", what);
        kr_err_clear(err);
        return kr_fail(err, KR_E_USAGE, "%s: the file '%s' is larger than %d bytes", what, name,
                       KR_AT_FILE_MAX);
    }
    return 0;
}

int kr_value_text(const char *what, const char *text, json_t **out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf file = KR_BUF_INIT(KR_AT_FILE_MAX);

    bool input = strcmp(text, "-") == 0 || strcmp(text, "@-") == 0;
    int rc;

    if (text[0] != '@' && !input)
        return kr_value_string(what, text, out, err);
    if (text[1] == '@')
        return kr_value_string(what, text + 1, out, err);
    rc = input ? read_stdin(what, &file, err) : read_at(what, text + 1, &file, err);
    if (rc < 0)
        return rc;
    if (memchr(kr_buf_str(&file), '\0', file.n) != NULL)
        return kr_fail(err, KR_E_USAGE, "%s: %s%s%s is not text", what, input ? "" : "the file '",
                       input ? "standard input" : text + 1, input ? "" : "'");
    if (text[0] == '-')
        cut_line_end(&file);
    return kr_value_string(what, kr_buf_str(&file), out, err);
}

int kr_value_pair(const char *what, const char *text, json_t *pairs, struct kr_err *err)
{
    const char *eq = strchr(text, '=');
    kr_auto_free char *key = NULL;
    json_t *value;

    if (eq == NULL || eq == text)
        return kr_fail(err, KR_E_USAGE, "%s needs KEY=VALUE, not '%s'", what, text);
    key = kr_strndup(text, (size_t)(eq - text));
    if (kr_value_string(what, eq + 1, &value, err) < 0)
        return -(int)err->code;
    if (kr_json_put(pairs, key, value, what, err) < 0) {
        err->code = KR_E_USAGE;
        return -KR_E_USAGE;
    }
    return 0;
}

/* Numbers, booleans and nested values of the document as the text one would have typed. */
static json_t *as_text(json_t *value)
{
    kr_auto_free char *text = NULL;

    if (json_is_string(value))
        return json_incref(value);
    if (json_is_null(value))
        return json_string("");
    text = kr_json_canonical(value);
    return json_string(text);
}

int kr_value_object(const char *what, const char *text, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *source = NULL, *doc = NULL, *result = json_object();
    const char *key, *body;
    json_t *value;

    if (kr_value_text(what, text, &source, err) < 0)
        return -(int)err->code;
    body = json_string_value(source);
    if (kr_yaml_parse(body, strlen(body), what, &doc, err) < 0)
        return -(int)err->code;
    if (!json_is_object(doc))
        return kr_fail(err, KR_E_INVALID,
                       "%s must be a JSON or YAML object of keys and values, not %s", what,
                       kr_json_type_name(doc));
    json_object_foreach(doc, key, value) kr_json_set(result, key, as_text(value));
    *out = kr_steal(&result);
    return 0;
}

int kr_value_bool(const char *text)
{
    static const char letters[] = "fFtTnNyY"; /* as the grammar has them, for options alone */
    const char *at = text[0] != '\0' && text[1] == '\0' ? strchr(letters, text[0]) : NULL;

    return at != NULL ? (int)((at - letters) / 2 & 1) : kr_parse_bool(text);
}
