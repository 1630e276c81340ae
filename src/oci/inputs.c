/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/inputs.h"

#include "base/alloc.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/path.h"
#include "base/view.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DEPTH_MAX    20
#define FRESH_NS     INT64_C(2000000000) /* a file this young may change without a sign of it */
#define NS_IN_SECOND INT64_C(1000000000)

struct gather {
    struct kr_cache *cache;
    const struct kr_inputs *in;
    struct kr_digest *all;
    struct kr_err *err;
    size_t files;
    int depth; /* of the place that is looked at */
    int rc;
};

static int64_t ns_of(struct timespec at)
{
    return (int64_t)at.tv_sec * NS_IN_SECOND + at.tv_nsec;
}

/* A file's digest, from the memory when nothing says that it has changed. */
static int digest_of(struct gather *g, const char *path, const struct stat *st,
                     char hex[KR_SHA256_HEX])
{
    kr_auto_free char *key = kr_asprintf(
        "input 1 %s %llu %lld %lld %lld", path, (unsigned long long)st->st_ino,
        (long long)st->st_size, (long long)ns_of(st->st_mtim), (long long)ns_of(st->st_ctim));
    kr_auto_json json_t *note = kr_cache_note(g->cache, key), *made = NULL;
    const char *known = kr_json_str(note, "sha256", "");
    struct timespec now;
    uint64_t size;

    if (strlen(known) == KR_SHA256_HEX - 1) {
        memcpy(hex, known, KR_SHA256_HEX);
        return 0;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (kr_digest_file(path, hex, NULL, &size, g->err) < 0)
        return -(int)g->err->code;
    if (ns_of(now) - ns_of(st->st_ctim) < FRESH_NS)
        return 0;
    made = json_object();
    kr_json_set_str(made, "sha256", hex);
    kr_cache_set_note(g->cache, key, made);
    return 0;
}

static int plain_entry(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void add_path(struct gather *g, const char *path, const char *name, int depth);

static void add_folder(struct gather *g, const char *path, const char *name, int depth)
{
    struct dirent **list = NULL;
    int n = scandir(path, &list, plain_entry, alphasort);

    for (int i = 0; i < n; i++) {
        kr_auto_free char *inside = kr_path_join(path, list[i]->d_name);
        kr_auto_free char *shown = kr_asprintf("%s/%s", name, list[i]->d_name);

        add_path(g, inside, shown, depth - 1);
        free(list[i]);
    }
    free(list);
}

static bool is_link(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* Folders are gone into `depth` times; those behind links are not, but for the first. */
static void add_path(struct gather *g, const char *path, const char *name, int depth)
{
    char hex[KR_SHA256_HEX];
    struct stat st;

    if (g->rc < 0 || stat(path, &st) < 0)
        return;
    if (S_ISDIR(st.st_mode) && depth > 0 && (depth == g->depth || !is_link(path))) {
        add_folder(g, path, name, depth);
    } else if (S_ISREG(st.st_mode)) {
        g->rc = digest_of(g, path, &st, hex);
        if (g->rc == 0) {
            kr_digest_update(g->all, name, strlen(name) + 1);
            kr_digest_update(g->all, hex, sizeof(hex));
            g->files++;
        }
    }
}

/* ${NAME} as the installer will replace it. */
static char *with_variables(const struct gather *g, struct kr_view word)
{
    struct kr_buf out = KR_BUF_INIT(65536);

    for (size_t i = 0; i < word.n; i++) {
        const char *end = word.p[i] == '$' && i + 1 < word.n && word.p[i + 1] == '{'
                              ? memchr(word.p + i, '}', word.n - i)
                              : NULL;
        kr_auto_free char *name =
            end != NULL ? kr_strndup(word.p + i + 2, (size_t)(end - word.p) - i - 2) : NULL;
        const char *value = name != NULL ? kr_json_str(g->in->environment, name, NULL) : NULL;

        if (name != NULL && value == NULL)
            value = kr_env_get(name);
        if (value == NULL) {
            kr_buf_addc(&out, word.p[i]);
            continue;
        }
        kr_buf_adds(&out, value);
        i = (size_t)(end - word.p);
    }
    return kr_buf_steal(&out);
}

static bool is_archive(struct kr_view word)
{
    static const char *const endings[] = {".whl", ".gz", ".zip", ".bz2", ".xz", ".tgz", ".tar"};

    for (size_t i = 0; i < KR_ARRAY_LEN(endings); i++) {
        size_t n = strlen(endings[i]);

        if (word.n > n && memcmp(word.p + word.n - n, endings[i], n) == 0)
            return true;
    }
    return false;
}

/* One place: a path or a file: address. `links`: what --find-links names, looked at as it lies. */
static void add_place(struct gather *g, struct kr_view word, bool links)
{
    kr_auto_free char *text = NULL, *path = NULL;
    size_t n;

    while (word.n > 0 && strchr("'\"", word.p[0]) != NULL)
        word = (struct kr_view){word.p + 1, word.n - 1};
    while (word.n > 0 && strchr("'\",;", word.p[word.n - 1]) != NULL)
        word.n--;
    text = with_variables(g, word);
    n = strcspn(text, "#");
    if (kr_starts_with(text, "file:")) {
        const char *from = text + 5;

        if (kr_starts_with(from, "//"))
            from += 2 + strcspn(from + 2, "/");
        path = kr_strdup(from);
        path[kr_percent_decode((struct kr_view){from, strcspn(from, "#")}, path)] = '\0';
    } else if (strstr(text, "://") == NULL) {
        kr_auto_free char *plain = kr_strndup(text, n);

        path = kr_path_expand_home(plain);
        n = strcspn(path, "["); /* extras of a path */
        if (!kr_path_exists(path))
            path[n] = '\0';
    }
    if (path != NULL && path[0] != '\0') {
        const char *slash = strrchr(path, '/');

        g->depth = links ? 1 : DEPTH_MAX;
        add_path(g, path, slash != NULL && slash[1] != '\0' ? slash + 1 : "", g->depth);
    }
}

/* What stands behind an option that names places: looked at as it lies, or with all below it. */
enum value { NO_VALUE, LINKS, INDEX };

static enum value value_of(struct kr_view option)
{
    static const struct {
        const char *name;
        enum value value;
    } options[] = {{"-f", LINKS},
                   {"--find-links", LINKS},
                   {"-i", INDEX},
                   {"--index-url", INDEX},
                   {"--index", INDEX},
                   {"--extra-index-url", INDEX},
                   {"--default-index", INDEX}};

    for (size_t i = 0; i < KR_ARRAY_LEN(options); i++) {
        if (kr_view_eq(option, options[i].name))
            return options[i].value;
    }
    return NO_VALUE;
}

/* A word that is no option: a path, a file: address or an archive, perhaps behind "name@". */
static void add_requirement(struct gather *g, struct kr_view word)
{
    const char *at = memchr(word.p, '@', word.n);

    if (memchr(word.p, '/', word.n) == NULL && !is_archive(word))
        return;
    if (at != NULL && memchr(word.p, '/', (size_t)(at - word.p)) == NULL)
        word = (struct kr_view){at + 1, word.n - (size_t)(at + 1 - word.p)};
    add_place(g, word, false);
}

/* A word of a requirement line or an option. `expected`: what the word before wants it to be;
 * gives what it wants of the next. */
static enum value add_word(struct gather *g, struct kr_view word, enum value expected)
{
    struct kr_view value = word, name;

    if (expected != NO_VALUE) {
        add_place(g, word, expected == LINKS);
        return NO_VALUE;
    }
    if (word.p[0] != '-') {
        add_requirement(g, word);
        return NO_VALUE;
    }
    if (kr_view_cut(&value, '=', &name) && value_of(name) != NO_VALUE)
        add_place(g, value, value_of(name) == LINKS);
    else if (word.n > 2 && memcmp(word.p, "-f", 2) == 0)
        add_place(g, (struct kr_view){word.p + 2, word.n - 2}, true);
    else
        return value_of(word);
    return NO_VALUE;
}

static void add_text(struct gather *g, const char *text)
{
    enum value expected = NO_VALUE;

    while (text != NULL && *text != '\0') {
        size_t n = strcspn(text, " \t\r\n");

        if (n > 0)
            expected = add_word(g, (struct kr_view){text, n}, expected);
        text += n + strspn(text + n, " \t\r\n");
    }
}

static void add_places(struct gather *g, const char *text, char sep)
{
    struct kr_view rest = kr_view_of(text != NULL ? text : ""), word;
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, sep, &word);
        if (word.n > 0)
            add_place(g, word, true);
    }
}

int kr_inputs_digest(struct kr_cache *cache, const struct kr_inputs *in,
                     char digest[KR_DIGEST_SIZE], size_t *files, struct kr_err *err)
{
    struct gather g = {
        .cache = cache, .in = in, .all = kr_digest_create(KR_SHA256), .err = err, .rc = 0};
    enum value expected = NO_VALUE;

    add_text(&g, in->requirements);
    add_text(&g, in->constraints);
    for (size_t i = 0; i < json_array_size(in->args); i++) {
        const char *arg = json_string_value(json_array_get(in->args, i));

        if (arg != NULL && arg[0] != '\0')
            expected = add_word(&g, kr_view_of(arg), expected);
    }
    add_places(&g, kr_env_get("PIP_FIND_LINKS"), ' ');
    add_places(&g, kr_env_get("UV_FIND_LINKS"), ',');
    memcpy(digest, "sha256:", 7);
    kr_digest_finish(g.all, digest + 7);
    *files = g.files;
    return g.rc;
}
