/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/reqfile.h"

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/path.h"

#include <ctype.h>
#include <string.h>

#define REQUIREMENTS_MAX ((size_t)4 << 20)
#define INCLUDE_DEPTH    16

void kr_reqs_init(struct kr_reqs *reqs)
{
    *reqs = (struct kr_reqs){
        .variables = json_array(), .left_out = json_array(), .tools = json_array()};
    kr_buf_init(&reqs->lines, REQUIREMENTS_MAX);
    kr_buf_init(&reqs->constraints, REQUIREMENTS_MAX);
}

void kr_reqs_finish(struct kr_reqs *reqs)
{
    kr_buf_finish(&reqs->lines);
    kr_buf_finish(&reqs->constraints);
    json_decref(reqs->variables);
    json_decref(reqs->left_out);
    json_decref(reqs->tools);
    reqs->variables = reqs->left_out = reqs->tools = NULL;
}

/* Length of "${NAME}" at p, or 0. */
static size_t variable_at(const char *p, size_t n)
{
    size_t i = 2;

    if (n < 4 || p[0] != '$' || p[1] != '{')
        return 0;
    while (i < n &&
           (isupper((unsigned char)p[i]) || p[i] == '_' || (i > 2 && isdigit((unsigned char)p[i]))))
        i++;
    return i > 2 && i < n && p[i] == '}' ? i + 1 : 0;
}

static bool only_variables(struct kr_view user)
{
    while (user.n > 0) {
        size_t n = variable_at(user.p, user.n);

        if (n == 0 && user.p[0] == ':')
            n = 1;
        if (n == 0)
            return false;
        user.p += n;
        user.n -= n;
    }
    return true;
}

bool kr_has_credentials(struct kr_view text)
{
    for (size_t i = 0; i + 3 <= text.n; i++) {
        struct kr_view host, user;

        if (memcmp(text.p + i, "://", 3) != 0)
            continue;
        host = (struct kr_view){text.p + i + 3, 0};
        while (i + 3 + host.n < text.n && strchr("/?# \t\"'", host.p[host.n]) == NULL)
            host.n++;
        user = host;
        while (user.n > 0 && user.p[user.n - 1] != '@')
            user.n--;
        if (user.n == 0)
            continue;
        user.n--;
        if (!kr_view_eq(user, "git") && !only_variables(user))
            return true;
    }
    return false;
}

/* Into a sorted list that has each word once. */
static void insert_word(json_t *list, const char *word)
{
    size_t at = 0;
    int order = -1;

    while (at < json_array_size(list) &&
           (order = strcmp(json_string_value(json_array_get(list, at)), word)) < 0)
        at++;
    if (at == json_array_size(list) || order != 0)
        (void)json_array_insert_new(list, at, json_string(word));
}

static void note_variables(struct kr_reqs *reqs, struct kr_view line)
{
    for (size_t i = 0; i < line.n; i++) {
        size_t n = variable_at(line.p + i, line.n - i);
        kr_auto_free char *name = n > 0 ? kr_strndup(line.p + i + 2, n - 3) : NULL;

        if (name != NULL)
            insert_word(reqs->variables, name);
    }
}

/* The value of an option written `-r x`, `-rx`, `--requirement x` or `--requirement=x`. */
static bool option_value(struct kr_view line, const char *short_name, const char *long_name,
                         struct kr_view *value)
{
    size_t n = strlen(long_name), m = strlen(short_name);

    if (line.n > n && memcmp(line.p, long_name, n) == 0 &&
        (line.p[n] == '=' || line.p[n] == ' ' || line.p[n] == '\t'))
        *value = kr_view_trim((struct kr_view){line.p + n + 1, line.n - n - 1});
    else if (line.n > m && memcmp(line.p, short_name, m) == 0 && line.p[1] != '-')
        *value = kr_view_trim((struct kr_view){line.p + m, line.n - m});
    else
        return false;
    return value->n > 0;
}

static bool has_prefix(struct kr_view v, const char *prefix)
{
    size_t n = strlen(prefix);

    return v.n >= n && memcmp(v.p, prefix, n) == 0;
}

static bool contains(struct kr_view v, const char *part)
{
    return v.n > 0 && v.p != NULL && memmem(v.p, v.n, part, strlen(part)) != NULL;
}

/* Whether a requirement (or the value of -e) is a place on this machine. */
static bool is_local(struct kr_view v)
{
    size_t word = 0;

    if (has_prefix(v, "file:") || contains(v, "@ file:") || contains(v, "@file:"))
        return true;
    if (contains(v, "://") || contains(v, " @ "))
        return false;
    while (word < v.n && strchr(" \t;[", v.p[word]) == NULL)
        word++;
    return v.n > 0 &&
           (v.p[0] == '.' || v.p[0] == '/' || v.p[0] == '~' || memchr(v.p, '/', word) != NULL ||
            (word > 4 && memcmp(v.p + word - 4, ".whl", 4) == 0));
}

/* Where the address of `name @ address`, `-e address` or `address` begins. */
static struct kr_view address_of(struct kr_view line)
{
    struct kr_view value = line;
    const char *at;

    if (!option_value(line, "-e", "--editable", &value))
        value = line;
    at = memchr(value.p, '@', value.n);
    if (at != NULL && memchr(value.p, ':', (size_t)(at - value.p)) == NULL)
        value = kr_view_trim((struct kr_view){at + 1, value.n - (size_t)(at + 1 - value.p)});
    return value;
}

/* "git" for git+https://..., which the installer calls. */
static void note_tool(struct kr_reqs *reqs, struct kr_view line)
{
    static const char *const tools[][2] = {
        {"git+", "git"}, {"hg+", "mercurial"}, {"svn+", "subversion"}, {"bzr+", "bzr"}};
    struct kr_view address = address_of(line);

    for (size_t i = 0; i < KR_ARRAY_LEN(tools); i++) {
        if (address.n > strlen(tools[i][0]) &&
            strncasecmp(address.p, tools[i][0], strlen(tools[i][0])) == 0)
            insert_word(reqs->tools, tools[i][1]);
    }
}

static size_t name_length(struct kr_view v)
{
    size_t n = 0;

    while (n < v.n &&
           (isalnum((unsigned char)v.p[n]) || (v.p[n] != '\0' && strchr("-_.", v.p[n]) != NULL)))
        n++;
    return n;
}

struct kr_view kr_req_name(struct kr_view line)
{
    struct kr_view value = line, none = {"", 0};
    const char *egg;
    size_t n;

    if (!option_value(line, "-e", "--editable", &value) && line.n > 0 && line.p[0] == '-')
        return none;
    n = name_length(value);
    if (n < value.n && (value.p[n] == ':' || value.p[n] == '+' || value.p[n] == '/')) {
        egg = memmem(value.p, value.n, "#egg=", 5);
        if (egg == NULL)
            egg = memmem(value.p, value.n, "&egg=", 5);
        if (egg == NULL)
            return none;
        value = (struct kr_view){egg + 5, value.n - (size_t)(egg + 5 - value.p)};
        n = name_length(value);
    }
    return (struct kr_view){value.p, n};
}

bool kr_req_same(struct kr_view name, const char *project)
{
    size_t i = 0;

    while (i < name.n && *project != '\0') {
        bool a = strchr("-_.", name.p[i]) != NULL, b = strchr("-_.", *project) != NULL;

        if (a != b || (!a && tolower((unsigned char)name.p[i]) != tolower((unsigned char)*project)))
            return false;
        i++;
        project++;
        while (a && i < name.n && strchr("-_.", name.p[i]) != NULL)
            i++;
        while (a && *project != '\0' && strchr("-_.", *project) != NULL)
            project++;
    }
    return i == name.n && *project == '\0' && i > 0;
}

/* Where the version of "name-1.0-py3-none-any.whl" begins. */
static size_t name_end(struct kr_view file)
{
    const char *dash = memchr(file.p, '-', file.n);

    return dash != NULL ? (size_t)(dash - file.p) : file.n;
}

/* A repository, wheel or archive of a project of ours that is named by its address alone. */
static bool is_own_address(struct kr_view line)
{
    struct kr_view rest = address_of(line), part = {"", 0};
    const char *at = rest.n > 0 ? memmem(rest.p, rest.n, "://", 3) : NULL;
    size_t n = 0;

    if (at == NULL || kr_req_name(line).n > 0)
        return false;
    rest = (struct kr_view){at + 3, rest.n - (size_t)(at + 3 - rest.p)};
    (void)kr_view_cut(&rest, '/', &part); /* the host, with its user */
    while (n < rest.n && strchr("@#;? \t", rest.p[n]) == NULL)
        n++;
    rest.n = n;
    while (kr_view_cut(&rest, '/', &part))
        ;
    if (part.n > 4 && memcmp(part.p + part.n - 4, ".git", 4) == 0)
        part.n -= 4;
    else if (contains(part, ".whl") || contains(part, ".tar.") || contains(part, ".zip"))
        part.n = name_end(part);
    return kr_req_same(part, "zenml") || kr_req_same(part, "kourou");
}

/* The runtime brings these two names; what is installed would hide it. */
static bool is_own(struct kr_view line)
{
    struct kr_view name = kr_req_name(line);

    return kr_req_same(name, "kourou") || kr_req_same(name, "zenml") || is_own_address(line);
}

static void leave_out(struct kr_reqs *reqs, struct kr_view line, const char *where)
{
    struct kr_view shown = line;
    const char *hash = memmem(line.p, line.n, "--hash", 6);
    kr_auto_free char *text = NULL;

    if (hash != NULL)
        shown = kr_view_trim((struct kr_view){line.p, (size_t)(hash - line.p)});
    text = kr_asprintf("%s: " KR_VIEW_FMT, where, KR_VIEW_ARG(shown));
    if (kr_json_is_text(text))
        insert_word(reqs->left_out, text);
}

static int refuse_local(struct kr_view line, const char *where, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_INVALID, "%s: '" KR_VIEW_FMT "' is a path on this machine", where,
                  KR_VIEW_ARG(line));
    return kr_hint(err,
                   "requirements are installed before the code is copied; install a project of "
                   "the source folder with the docker setting local_project_install_command");
}

static int add_file(struct kr_reqs *reqs, struct kr_buf *to, const char *path, int depth,
                    struct kr_err *err);

static int include(struct kr_reqs *reqs, struct kr_buf *to, struct kr_view name, const char *folder,
                   const char *where, int depth, struct kr_err *err)
{
    kr_auto_free char *file = kr_view_dup(name), *path = NULL;

    if (folder == NULL)
        return kr_fail(err, KR_E_INVALID, "%s: '%s' cannot be included from a list", where, file);
    if (kr_has_credentials(name) || contains(name, "://"))
        return kr_fail(err, KR_E_INVALID, "%s: included files have to be on this machine", where);
    if (depth >= INCLUDE_DEPTH)
        return kr_fail(err, KR_E_INVALID, "%s: files include each other", where);
    path = kr_path_join(folder, file);
    if (add_file(reqs, to, path, depth + 1, err) < 0)
        return kr_wrap(err, "%s", where);
    return 0;
}

/* Cuts a comment: a # at the start or behind white space. */
static struct kr_view without_comment(struct kr_view line)
{
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '#' && (i == 0 || isspace((unsigned char)line.p[i - 1])))
            line.n = i;
    }
    return kr_view_trim(line);
}

static int add_line(struct kr_reqs *reqs, struct kr_buf *to, struct kr_view line,
                    const char *folder, const char *where, int depth, struct kr_err *err)
{
    struct kr_view value = {"", 0};

    line = without_comment(line);
    if (line.n == 0)
        return 0;
    if (option_value(line, "-r", "--requirement", &value))
        return include(reqs, to, value, folder, where, depth, err);
    if (option_value(line, "-c", "--constraint", &value))
        return include(reqs, &reqs->constraints, value, folder, where, depth, err);
    if (kr_has_credentials(line)) {
        (void)kr_fail(err, KR_E_INVALID, "%s: an address has a user name or password in it", where);
        return kr_hint(err, "write ${NAME} in its place and give NAME as a secret of the pipeline");
    }
    if (option_value(line, "-e", "--editable", &value) ? is_local(value)
                                                       : line.p[0] != '-' && is_local(line))
        return refuse_local(line, where, err);
    if (is_own(line)) {
        leave_out(reqs, line, where);
        return 0;
    }
    note_variables(reqs, line);
    note_tool(reqs, line);
    reqs->hashed |= contains(line, "--hash=") || contains(line, "--require-hashes");
    kr_buf_add(to, line.p, line.n);
    kr_buf_addc(to, '\n');
    return kr_buf_check(to, err);
}

static int add_file(struct kr_reqs *reqs, struct kr_buf *to, const char *path, int depth,
                    struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(REQUIREMENTS_MAX);
    kr_auto_buf struct kr_buf joined = KR_BUF_INIT(REQUIREMENTS_MAX);
    const char *slash = strrchr(path, '/');
    kr_auto_free char *folder =
        slash != NULL ? kr_strndup(path, (size_t)(slash - path) + 1) : kr_strdup(".");
    struct kr_view rest, line;
    bool more = true;
    int number = 0;

    if (kr_file_read(path, &text, err) < 0 || kr_text_decode(&text, path, err) < 0)
        return -(int)err->code;
    rest = kr_view_of(kr_buf_str(&text));
    while (more) {
        kr_auto_free char *where = kr_asprintf("%s:%d", slash != NULL ? slash + 1 : path, ++number);
        bool goes_on;

        more = kr_view_cut(&rest, '\n', &line);
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        goes_on = more && line.n > 0 && line.p[line.n - 1] == '\\' && without_comment(line).n > 0;
        kr_buf_add(&joined, line.p, line.n - goes_on);
        if (goes_on) {
            kr_buf_addc(&joined, ' ');
            continue;
        }
        if (add_line(reqs, to, kr_view_of(kr_buf_str(&joined)), folder, where, depth, err) < 0)
            return -(int)err->code;
        kr_buf_reset(&joined);
    }
    return 0;
}

int kr_reqs_add(struct kr_reqs *reqs, struct kr_view line, const char *folder, const char *where,
                struct kr_err *err)
{
    if (line.n != 0 &&
        (memchr(line.p, '\n', line.n) != NULL || memchr(line.p, '\0', line.n) != NULL))
        return kr_fail(err, KR_E_INVALID, "%s: a requirement has a line break", where);
    return add_line(reqs, &reqs->lines, line, folder, where, 0, err);
}

int kr_reqs_add_file(struct kr_reqs *reqs, const char *path, struct kr_err *err)
{
    return add_file(reqs, &reqs->lines, path, 0, err);
}

bool kr_req_text_names(const char *text, const char *project)
{
    struct kr_view rest = kr_view_of(text), line;
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        if (kr_req_same(kr_req_name(line), project))
            return true;
    }
    return false;
}
