/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/space_readme.h"

#include "base/alloc.h"
#include "base/view.h"
#include "base/yaml.h"

#include <string.h>

#define TITLE_MAX 200
#define EMOJI_MAX 40 /* bytes: an emoji may be a sequence of joined code points */

static const char *const colors[] = {"red",    "yellow", "green", "blue",
                                     "indigo", "purple", "pink",  "gray"};

/* Keys of other SDKs: meaningless or misleading in a Docker Space. */
static const char *const foreign[] = {"sdk_version", "app_file", "python_version",
                                      "app_build_command", "hardware"};

/* Cuts "---" ... "---" off the start. *front is empty when there is none. */
static void split_front(struct kr_view text, struct kr_view *front, struct kr_view *body)
{
    struct kr_view rest, line;
    bool more = true;

    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0) {
        text.p += 3;
        text.n -= 3;
    }
    *front = (struct kr_view){"", 0};
    *body = rest = text;
    (void)kr_view_cut(&rest, '\n', &line);
    while (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (!kr_view_eq(line, "---"))
        return;
    front->p = rest.p;
    while (more) {
        const char *start = rest.p;

        more = kr_view_cut(&rest, '\n', &line);
        while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
            line.n--;
        if (kr_view_eq(line, "---")) {
            front->n = (size_t)(start - front->p);
            *body = rest;
            return;
        }
    }
    front->p = "";
}

static size_t characters(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static bool one_of(const char *text, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, list[i]) == 0)
            return true;
    }
    return false;
}

static bool one_line(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    }
    return true;
}

/* "90s", "30m", "1h", "1h 30m": digits and units. */
static bool is_duration(const char *text)
{
    bool digits = false, any = false;

    for (const char *p = text; *p != '\0'; p++) {
        if (*p >= '0' && *p <= '9') {
            digits = true;
        } else if (strchr("smhd", *p) != NULL && digits) {
            digits = false;
            any = true;
        } else if (*p != ' ' || digits) {
            return false;
        }
    }
    return any && !digits;
}

/* key: of the front matter; name: what the user calls it. */
static int check_text(const char *key, const char *name, const json_t *value, struct kr_err *err)
{
    const char *text = json_string_value(value);

    if (text == NULL || text[0] == '\0' || !one_line(text))
        return kr_fail(err, KR_E_INVALID, "%s has to be one line of text", name);
    if (strcmp(key, "short_description") == 0 && characters(text) > KR_SHORT_DESCRIPTION_MAX)
        return kr_fail(err, KR_E_INVALID, "%s has %zu characters; the Hub takes %d", name,
                       characters(text), KR_SHORT_DESCRIPTION_MAX);
    if (kr_starts_with(key, "color") && !one_of(text, colors, KR_ARRAY_LEN(colors)))
        return kr_fail(err, KR_E_INVALID,
                       "%s is '%s'; allowed are red, yellow, green, blue, "
                       "indigo, purple, pink, gray",
                       name, text);
    if (strcmp(key, "emoji") == 0 &&
        (strlen(text) > EMOJI_MAX || ((unsigned char)text[0] & 0x80) == 0))
        return kr_fail(err, KR_E_INVALID, "%s is '%s', not an emoji", name, text);
    if (strcmp(key, "title") == 0 && strlen(text) > TITLE_MAX)
        return kr_fail(err, KR_E_INVALID, "%s is longer than %d bytes", name, TITLE_MAX);
    if (strcmp(key, "startup_duration_timeout") == 0 && !is_duration(text))
        return kr_fail(err, KR_E_INVALID, "%s is '%s'; it has to be a time like 30m or 1h", name,
                       text);
    return 0;
}

static int check_tags(const char *name, const json_t *value, struct kr_err *err)
{
    bool ok = json_is_array(value);

    for (size_t i = 0; ok && i < json_array_size(value); i++) {
        const char *tag = json_string_value(json_array_get(value, i));

        ok = tag != NULL && tag[0] != '\0' && one_line(tag);
    }
    return ok ? 0 : kr_fail(err, KR_E_INVALID, "%s has to be a list of one-line texts", name);
}

static const struct {
    const char *setting, *key;
} keys[] = {
    {"space_title", "title"},
    {"space_emoji", "emoji"},
    {"space_color_from", "colorFrom"},
    {"space_color_to", "colorTo"},
    {"space_description", "short_description"},
    {"space_tags", "tags"},
    {"suggested_hardware", "suggested_hardware"},
    {"startup_duration_timeout", "startup_duration_timeout"}, /* the user's README only */
    {"license", "license"},
};

static bool given(const json_t *value)
{
    return value != NULL && !json_is_null(value) &&
           !(json_is_array(value) && json_array_size(value) == 0);
}

static int check_key(const char *key, const char *name, const json_t *value, struct kr_err *err)
{
    if (strcmp(key, "tags") == 0)
        return check_tags(name, value, err);
    if (strcmp(key, "license") == 0 && json_is_array(value))
        return 0; /* the Hub takes a list of licences too */
    return check_text(key, name, value, err);
}

/* Values of ours that are checked go over the user's. */
static int apply_settings(const struct kr_space_readme *in, json_t *card, struct kr_err *err)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(keys); i++) {
        json_t *value = json_object_get(in->settings, keys[i].setting);
        bool ours = given(value);

        if (!ours)
            value = json_object_get(card, keys[i].key);
        if (!given(value))
            continue;
        if (check_key(keys[i].key, ours ? keys[i].setting : keys[i].key, value, err) < 0)
            return ours ? -(int)err->code : kr_wrap(err, "README.md");
        if (ours)
            kr_json_set(card, keys[i].key, json_incref(value));
    }
    return 0;
}

/* Keys that are true or false. YAML of before 1.2, which many write, has more words for the two; to
 * the Hub they are texts, which it refuses. */
static int normal_flags(json_t *card, struct kr_err *err)
{
    static const char *const flags[] = {"pinned", "fullWidth", "disable_embedding", "hf_oauth"};
    static const char *const yes[] = {"yes", "on", "true", "y"};
    static const char *const no[] = {"no", "off", "false", "n"};

    for (size_t i = 0; i < KR_ARRAY_LEN(flags); i++) {
        json_t *value = json_object_get(card, flags[i]);
        kr_auto_free char *text = kr_strdup(json_string_value(value));

        if (!given(value) || json_is_boolean(value))
            continue;
        for (char *p = text; p != NULL && *p != '\0'; p++)
            *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + ('a' - 'A')) : *p;
        if (text == NULL ||
            (!one_of(text, yes, KR_ARRAY_LEN(yes)) && !one_of(text, no, KR_ARRAY_LEN(no))))
            return kr_fail(err, KR_E_INVALID, "README.md: %s has to be true or false", flags[i]);
        kr_json_set_bool(card, flags[i], one_of(text, yes, KR_ARRAY_LEN(yes)));
    }
    return 0;
}

static void set_default(json_t *card, const char *key, const char *value)
{
    if (!given(json_object_get(card, key)))
        kr_json_set_str(card, key, value);
}

/* Seconds of the setting in the Hub's units, rounded up to minutes. */
static void set_startup(json_t *card, int64_t seconds)
{
    kr_auto_free char *text = seconds % 3600 == 0
                                  ? kr_asprintf("%jdh", (intmax_t)(seconds / 3600))
                                  : kr_asprintf("%jdm", (intmax_t)((seconds + 59) / 60));

    if (seconds > 0)
        kr_json_set_str(card, "startup_duration_timeout", text);
}

/* Our keys first and always in the same order, then what else the user wrote. */
static json_t *in_order(json_t *card)
{
    static const char *const first[] = {"title",
                                        "emoji",
                                        "colorFrom",
                                        "colorTo",
                                        "sdk",
                                        "app_port",
                                        "startup_duration_timeout",
                                        "suggested_hardware",
                                        "short_description",
                                        "tags",
                                        "pinned",
                                        "license"};
    json_t *sorted = json_object(), *value;
    const char *key;

    for (size_t i = 0; i < KR_ARRAY_LEN(first); i++) {
        value = json_object_get(card, first[i]);
        if (value != NULL)
            kr_json_set(sorted, first[i], json_incref(value));
    }
    json_object_foreach(card, key, value)
    {
        if (json_object_get(sorted, key) == NULL)
            kr_json_set(sorted, key, json_incref(value));
    }
    return sorted;
}

static int make_card(const struct kr_space_readme *in, struct kr_view front, json_t **card,
                     struct kr_err *err)
{
    const char *title = in->deployment;

    *card = NULL;
    if (kr_view_trim(front).n > 0) {
        if (kr_yaml_parse(front.p, front.n, "README.md", card, err) < 0)
            return -(int)err->code;
        if (!json_is_object(*card))
            return kr_fail(err, KR_E_INVALID, "README.md: the front matter is not a mapping");
    } else {
        *card = json_object();
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(foreign); i++)
        (void)json_object_del(*card, foreign[i]);
    if (apply_settings(in, *card, err) < 0 || normal_flags(*card, err) < 0)
        return -(int)err->code;
    set_default(*card, "title", title);
    set_default(*card, "emoji", "\xf0\x9f\x9a\x80");
    set_default(*card, "colorFrom", "blue");
    set_default(*card, "colorTo", "indigo");
    kr_json_set_str(*card, "sdk", "docker");
    kr_json_set_int(*card, "app_port", in->app_port);
    set_startup(*card, kr_json_int(in->settings, "startup_timeout", 0));
    if (json_object_get(*card, "pinned") == NULL)
        kr_json_set_bool(*card, "pinned", false);
    return 0;
}

/* The fence of a code block that holds text has to be longer than any in it. */
static void add_parameters(const json_t *snapshot, struct kr_buf *out)
{
    const json_t *properties =
        json_object_get(json_object_get(snapshot, "input_schema"), "properties");
    kr_auto_json json_t *sample = json_object();
    kr_auto_json json_t *body = json_object();
    kr_auto_free char *text = NULL;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)properties, key, value)
    {
        const json_t *dflt = json_object_get(value, "default");
        const char *type = kr_json_str(value, "type", "");

        kr_json_set(sample, key,
                    dflt != NULL                   ? json_deep_copy(dflt)
                    : strcmp(type, "string") == 0  ? json_string("...")
                    : strcmp(type, "integer") == 0 ? json_integer(1)
                    : strcmp(type, "number") == 0  ? json_real(0.5)
                    : strcmp(type, "boolean") == 0 ? json_true()
                    : strcmp(type, "array") == 0   ? json_array()
                                                   : json_object());
    }
    kr_json_set(body, "parameters", json_incref(sample));
    text = kr_json_canonical(body);
    kr_buf_adds(out, "```shell\ncurl -X POST https://<host of this Space>/invoke \\\n"
                     "    -H 'Content-Type: application/json' \\\n    -d '");
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'')
            kr_buf_adds(out, "'\\''");
        else
            kr_buf_addc(out, *p);
    }
    kr_buf_adds(out, "'\n```\n");
}

static void add_body(const struct kr_space_readme *in, struct kr_buf *out)
{
    const json_t *pipeline = json_object_get(in->snapshot, "pipeline");
    const char *about = kr_json_str(pipeline, "description", NULL);

    kr_buf_addf(out, "\n# %s\n\n", in->deployment);
    if (about != NULL && about[0] != '\0')
        kr_buf_addf(out, "%s\n\n", about);
    kr_buf_addf(out,
                "Pipeline `%s`, served over HTTP. The page of this Space is a form for it; "
                "`/docs` describes the interface, and programs call it like this:\n\n",
                kr_json_str(pipeline, "name", in->deployment));
    add_parameters(in->snapshot, out);
    kr_buf_adds(out,
                "\nDeployed with Kourou. A redeploy overwrites the files of this repository.\n");
}

int kr_space_readme(const struct kr_space_readme *in, struct kr_buf *out, struct kr_err *err)
{
    struct kr_view front = {"", 0}, body = {"", 0};
    kr_auto_json json_t *card = NULL, *sorted = NULL;

    if (in->own != NULL)
        split_front(kr_view_of(in->own), &front, &body);
    if (make_card(in, front, &card, err) < 0)
        return -(int)err->code;
    sorted = in_order(card);
    kr_buf_adds(out, "---\n");
    kr_yaml_write(sorted, out);
    if (out->p[out->n - 1] != '\n')
        kr_buf_addc(out, '\n');
    kr_buf_adds(out, "---\n");
    if (kr_view_trim(body).n > 0)
        kr_buf_add(out, body.p, body.n);
    else
        add_body(in, out);
    return kr_buf_check(out, err);
}
