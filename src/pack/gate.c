/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/gate.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/id.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/view.h"
#include "pack/project_file.h"

#include <errno.h>
#include <string.h>

enum { SHOWN = 5, NONCE = 32 };

struct finding {
    char *path;
    const char *what; /* NULL: a known value */
    uint64_t line;
};

struct kr_gate {
    struct kr_search *search;
    struct kr_scan *scan;
    struct kr_spool spool;
    char key[KR_SEARCH_KEY];
    char *cache_dir, *readers;
    json_t *allow; /* paths as keys */
    struct finding *v;
    size_t n;
};

static void add_value(void *data, const char *value, size_t n)
{
    kr_search_add(data, value, n);
}

/* The key of the store in use, which is no registered value as long as no secret was needed. */
static void add_key(struct kr_search *search)
{
    static const char *const names[] = {"KOUROU_ENCRYPTION_KEY", "HF_TOKEN",
                                        "HUGGING_FACE_HUB_TOKEN"};
    kr_auto_free char *dir = kr_env_config_dir(), *path = kr_path_join(dir, "encryption.key");
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(4096);

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        const char *value = kr_env_get(names[i]);

        if (value != NULL)
            kr_search_add(search, value, strlen(value));
    }
    if (kr_file_read(path, &text, NULL) == 0 && text.n > 0) {
        struct kr_view key = kr_view_trim((struct kr_view){text.p, text.n});

        kr_search_add(search, key.p, key.n);
        explicit_bzero(text.p, text.n);
    }
}

/* Random text of this machine, without which the memory of digests would let values be guessed. */
static void read_nonce(const char *dir, char nonce[NONCE + 1])
{
    kr_auto_free char *path = dir != NULL ? kr_path_join(dir, "search-nonce") : NULL;
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(1000);

    if (path != NULL && kr_file_read(path, &text, NULL) == 0 && text.n == NONCE) {
        memcpy(nonce, text.p, NONCE + 1);
        return;
    }
    kr_random_alnum(nonce, NONCE);
    if (path != NULL && kr_mkdir_p(dir, 0700, NULL) == 0)
        (void)!kr_file_write_atomic(path, nonce, NONCE, 0600,
                                    NULL); /* else nothing is remembered */
}

static void allow_all(struct kr_gate *gate, const json_t *paths)
{
    const json_t *item;
    size_t i;

    json_array_foreach(paths, i, item)
    {
        const char *path = json_string_value(item);

        while (path != NULL && path[0] == '.' && path[1] == '/')
            path += 2;
        if (path != NULL)
            kr_json_set_bool(gate->allow, path, true);
    }
}

int kr_gate_open(const struct kr_gate_policy *policy, struct kr_gate **out, struct kr_err *err)
{
    kr_auto_gate struct kr_gate *gate = kr_calloc(1, sizeof(*gate));
    kr_auto_json json_t *listed = NULL;
    char nonce[NONCE + 1];

    gate->cache_dir = kr_strdup(policy->cache_dir);
    gate->readers = kr_strdup(policy->readers);
    gate->spool = (struct kr_spool)KR_SPOOL_INIT(gate->cache_dir);
    gate->allow = json_object();
    gate->search = kr_search_create();
    if (policy->root != NULL && kr_project_file_read(policy->root, &listed, err) < 0)
        return -(int)err->code;
    allow_all(gate, listed);
    allow_all(gate, policy->allow);
    kr_redact_each(add_value, gate->search);
    add_key(gate->search);
    read_nonce(gate->cache_dir, nonce);
    kr_search_key(gate->search, nonce, gate->key);
    gate->scan = kr_scan_create(gate->search);
    *out = kr_steal(&gate);
    return 0;
}

static void forget(struct kr_gate *gate)
{
    for (size_t i = 0; i < gate->n; i++)
        free(gate->v[i].path);
    free(gate->v);
    gate->v = NULL;
    gate->n = 0;
}

void kr_gate_close(struct kr_gate *gate)
{
    if (gate == NULL)
        return;
    forget(gate);
    kr_scan_destroy(gate->scan);
    kr_search_destroy(gate->search);
    kr_spool_finish(&gate->spool);
    json_decref(gate->allow);
    free(gate->cache_dir);
    free(gate->readers);
    free(gate);
}

struct kr_sift kr_gate_sift(struct kr_gate *gate, bool says)
{
    struct kr_sift how = {.says = says};

    if (gate != NULL) {
        how.scan = gate->scan;
        how.key = gate->key;
    }
    return how;
}

void kr_gate_found(struct kr_gate *gate, const char *path, const struct kr_hits *hits)
{
    if (gate == NULL)
        return;
    for (size_t i = 0; i < hits->n; i++) {
        if (hits->v[i].what != NULL && json_object_get(gate->allow, path) != NULL)
            continue;
        if ((gate->n & (gate->n - 1)) == 0)
            gate->v = kr_reallocarray(gate->v, gate->n == 0 ? 1 : gate->n * 2, sizeof(*gate->v));
        gate->v[gate->n++] = (struct finding){kr_strdup(path), hits->v[i].what, hits->v[i].line};
    }
}

static void look_at(struct kr_gate *gate, const char *text, size_t n, struct kr_hits *hits)
{
    kr_scan_begin(gate->scan);
    kr_scan_feed(gate->scan, text, n);
    kr_scan_end(gate->scan, hits);
}

static bool has_value(const struct kr_hits *hits, const struct kr_hit *wanted)
{
    for (size_t i = 0; i < hits->n; i++) {
        if (hits->v[i].what == NULL && (wanted == NULL || hits->v[i].value == wanted->value))
            return true;
    }
    return false;
}

/* Whether a text of the document holds that known value, or (NULL) any. Texts stand in quotes: a
 * weak value is one where it is all of a text. */
static bool says_known(struct kr_gate *gate, const json_t *document, const struct kr_hit *wanted)
{
    const json_t *item;
    const char *key;
    bool known = false;
    size_t i;

    if (json_is_string(document)) {
        kr_auto_free char *text = kr_asprintf("\"%s\"", json_string_value(document));
        struct kr_hits hits;
        look_at(gate, text, strlen(text), &hits);
        return has_value(&hits, wanted);
    }
    json_array_foreach(document, i, item) known = known || says_known(gate, item, wanted);
    if (!json_is_object(document))
        return known;
    json_object_foreach((json_t *)(uintptr_t)document, key, item) known =
        known || says_known(gate, item, wanted);
    return known;
}

static int fail_known(const char *path, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_INVALID, "%s would hold a secret value", path);
    return kr_hint(err,
                   "name the secret in the pipeline's secrets instead of writing its value into "
                   "settings");
}

int kr_gate_text(struct kr_gate *gate, const char *path, const char *text, size_t n,
                 struct kr_err *err)
{
    struct kr_hits hits;

    if (gate == NULL)
        return 0;
    look_at(gate, text, n, &hits);
    if (has_value(&hits, NULL))
        return fail_known(path, err);
    kr_gate_found(gate, path, &hits);
    return 0;
}

int kr_gate_values(struct kr_gate *gate, const char *path, const json_t *document,
                   struct kr_err *err)
{
    return gate != NULL && says_known(gate, document, NULL) ? fail_known(path, err) : 0;
}

int kr_gate_made(struct kr_gate *gate, const char *path, const char *text,
                 const json_t *const *documents, size_t n, struct kr_err *err)
{
    struct kr_hits hits, likes = {.n = 0};

    if (gate == NULL)
        return 0;
    look_at(gate, text, strlen(text), &hits);
    for (size_t i = 0; i < hits.n; i++) {
        if (hits.v[i].what != NULL)
            likes.v[likes.n++] = hits.v[i];
        for (size_t k = 0; hits.v[i].what == NULL && k < n; k++) {
            if (documents[k] != NULL && says_known(gate, documents[k], &hits.v[i]))
                return fail_known(path, err);
        }
    }
    kr_gate_found(gate, path, &likes);
    return 0;
}

/* "a.py:3 (a GitHub token), b.py:9 and 2 more"; known: values only. */
static void list(const struct kr_gate *gate, bool known, struct kr_buf *text)
{
    const struct finding *before = NULL;
    size_t n = 0;

    for (size_t i = 0; i < gate->n; i++) {
        const struct finding *f = &gate->v[i];

        if ((f->what == NULL) != known ||
            (before != NULL && f->line == before->line && strcmp(f->path, before->path) == 0))
            continue;
        before = f;
        if (n++ >= SHOWN)
            continue;
        kr_buf_addf(text, "%s%s:%llu", n > 1 ? ", " : "", f->path, (unsigned long long)f->line);
        if (!known)
            kr_buf_addf(text, " (%s)", f->what);
    }
    if (n > SHOWN)
        kr_buf_addf(text, " and %zu more", n - SHOWN);
}

static const char *first_path(const struct kr_gate *gate, bool known)
{
    for (size_t i = 0; i < gate->n; i++) {
        if ((gate->v[i].what == NULL) == known)
            return gate->v[i].path;
    }
    return NULL;
}

int kr_gate_judge(struct kr_gate *gate, json_t *warnings, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(16384);
    const char *path;

    if (gate == NULL || gate->n == 0)
        return 0;
    path = first_path(gate, true);
    list(gate, path != NULL, &text);
    if (path != NULL) {
        (void)kr_fail(err, KR_E_INVALID,
                      "the value of a secret that this deployment uses stands in %s",
                      kr_buf_str(&text));
        return kr_hint(err,
                       "read it from the environment there (name the secret in the pipeline's "
                       "secrets), or leave the file out with a line '/%s' in .kourouignore",
                       path);
    }
    path = first_path(gate, false);
    if (gate->readers != NULL) {
        (void)kr_fail(err, KR_E_INVALID, "what looks like a live credential stands in %s, and %s",
                      kr_buf_str(&text), gate->readers);
        return kr_hint(
            err,
            "take it out, leave the file out with a line '/%s' in .kourouignore, or send "
            "it all the same with --allow-secret '%s' or allow-secrets in " KR_PROJECT_FILE,
            path, path);
    }
    kr_buf_adds(&text, " looks like a live credential and is sent; --allow-secret FILE, or "
                       "allow-secrets in " KR_PROJECT_FILE ", says that it is meant to be");
    (void)json_array_append_new(warnings, json_string(kr_buf_str(&text)));
    forget(gate);
    return 0;
}

int kr_gate_hold(struct kr_gate *gate, struct kr_file *file, struct kr_err *err)
{
    struct kr_sift how = kr_gate_sift(gate, false);
    kr_auto_json json_t *warnings = NULL;
    struct kr_sifted sifted;
    bool same = false;

    if (file->bytes != NULL || file->disk == NULL)
        return 0;
    if (kr_sift_hold(file->disk, &gate->spool, file, &same, err) < 0)
        return -(int)err->code;
    if (same)
        return 0;
    if (kr_sift_file(file->disk, &how, &gate->spool, file, &sifted, err) < 0)
        return -(int)err->code;
    if (sifted.content == KR_CONTENT_OURS || sifted.content == KR_CONTENT_CREDENTIAL) {
        (void)kr_fail(err, KR_E_CONFLICT, "%s has become another file meanwhile", file->disk);
        return kr_hint(err, "run the command again");
    }
    kr_gate_found(gate, file->path, &sifted.hits);
    warnings = json_array();
    return kr_gate_judge(gate, warnings, err);
}

int kr_gate_hold_all(struct kr_gate *gate, struct kr_files *files, struct kr_err *err)
{
    for (size_t i = 0; i < files->n; i++) {
        if (kr_gate_hold(gate, &files->v[i], err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static char *below_root(const char *root, const char *given)
{
    kr_auto_free char *top = realpath(root, NULL), *joined = kr_path_join(root, given);
    kr_auto_free char *real = realpath(given, NULL);
    size_t n = top != NULL ? strlen(top) : 0;

    for (int i = 0; i < 2; i++) {
        if (real != NULL && top != NULL && strncmp(real, top, n) == 0 && real[n] == '/' &&
            !kr_path_is_dir(real))
            return kr_strdup(real + n + 1);
        free(real);
        real = realpath(joined, NULL);
    }
    return NULL;
}

int kr_gate_allow(const char *root, const json_t *given, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *list_of = json_array();
    const json_t *item;
    size_t i;

    json_array_foreach(given, i, item)
    {
        kr_auto_free char *path = below_root(root, json_string_value(item));

        if (path == NULL) {
            (void)kr_fail(err, KR_E_USAGE,
                          "--allow-secret '%s': no such file in the source folder %s",
                          json_string_value(item), root);
            return kr_hint(err, "name a file as it is called there");
        }
        (void)json_array_append_new(list_of, json_string(path));
    }
    *out = kr_steal(&list_of);
    return 0;
}
