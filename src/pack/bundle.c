/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/bundle.h"

#include "base/alloc.h"
#include "base/path.h"
#include "pack/digest_cache.h"
#include "pack/gate.h"
#include "pack/ours.h"
#include "pack/walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *kr_size_text(uint64_t bytes, char text[16])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 999.95 && unit + 1 < KR_ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(text, 16, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

static int by_path(const void *a, const void *b)
{
    const struct kr_found *x = a, *y = b;

    return strcmp(x->path, y->path);
}

/* "'a' (1.0 GB), 'b' (2.0 MB)" of the largest files. */
static void largest(const struct kr_walk *w, struct kr_buf *text)
{
    size_t top[3], n = 0;

    for (size_t i = 0; i < w->n; i++) {
        size_t at = n;

        while (at > 0 && w->v[top[at - 1]].st.st_size < w->v[i].st.st_size)
            at--;
        if (at >= KR_ARRAY_LEN(top))
            continue;
        n += n < KR_ARRAY_LEN(top);
        for (size_t k = n - 1; k > at; k--)
            top[k] = top[k - 1];
        top[at] = i;
    }
    for (size_t i = 0; i < n; i++) {
        char size[16];

        kr_buf_addf(text, "%s'%s' (%s)", i > 0 ? ", " : "", w->v[top[i]].path,
                    kr_size_text((uint64_t)w->v[top[i]].st.st_size, size));
    }
}

static int check_sizes(const struct kr_walk *w, struct kr_err *err)
{
    kr_auto_buf struct kr_buf names = KR_BUF_INIT(16384);
    char size[16], limit[16];
    uint64_t total = 0;

    for (size_t i = 0; i < w->n; i++) {
        total += (uint64_t)w->v[i].st.st_size;
        if ((uint64_t)w->v[i].st.st_size > KR_BUNDLE_WARN_FILE)
            kr_walk_warn(w->warnings, "'%s' has %s; a line in .kourouignore leaves it out",
                         w->v[i].path, kr_size_text((uint64_t)w->v[i].st.st_size, size));
    }
    largest(w, &names);
    if (w->what->max_total != 0 && total > w->what->max_total) {
        (void)kr_fail(
            err, KR_E_LIMIT, "the files below %s have %s together, more than the %s allowed",
            w->what->root, kr_size_text(total, size), kr_size_text(w->what->max_total, limit));
        return kr_hint(err, "the largest are %s; .kourouignore leaves files out",
                       kr_buf_str(&names));
    }
    if (total > KR_BUNDLE_WARN_TOTAL)
        kr_walk_warn(w->warnings, "the source folder has %s; the largest files are %s",
                     kr_size_text(total, size), kr_buf_str(&names));
    return 0;
}

/* Whether a file is left out for what it is by its contents. */
static bool is_left_out(struct kr_walk *w, const struct kr_found *f, const char *disk,
                        enum kr_content content)
{
    switch (content) {
    case KR_CONTENT_OURS:
        kr_walk_leave(w, KR_LEFT_OURS, f->path, NULL);
        return true;
    case KR_CONTENT_COMPANION:
        if (kr_ours_has_other_base(disk))
            return false;
        kr_walk_leave(w, KR_LEFT_OURS, f->path, NULL);
        return true;
    case KR_CONTENT_POINTER:
        kr_walk_leave(w, KR_LEFT_POINTER, f->path, NULL);
        return false;
    case KR_CONTENT_KEY: /* judged when all digests are known */
    case KR_CONTENT_PLAIN:
    case KR_CONTENT_CREDENTIAL:
    case KR_CONTENT_PUBLIC:
    case KR_CONTENT_SAYS:
        break;
    }
    if (f->taken || (content != KR_CONTENT_CREDENTIAL &&
                     (f->name != KR_CREDENTIAL_UNLESS_PUBLIC || content == KR_CONTENT_PUBLIC) &&
                     (f->name != KR_CREDENTIAL_IF_SAID || content != KR_CONTENT_SAYS)))
        return false;
    kr_walk_leave(w, KR_LEFT_SECRET, f->path, NULL);
    return true;
}

/* A file of 64 hexadecimal digits is an encryption key, unless they are the digest of a file that
 * is sent too. */
static void drop_keys(struct kr_walk *w, const char *keys, struct kr_files *out)
{
    for (const char *path = keys; *path != '\0'; path += strlen(path) + 1) {
        kr_auto_buf struct kr_buf text = KR_BUF_INIT(1024);
        const struct kr_file *file = kr_files_find(out, path);
        bool sum = false;

        if (file == NULL || kr_file_read(file->disk, &text, NULL) < 0)
            continue;
        for (size_t i = 0; i < out->n && !sum; i++)
            sum = strncasecmp(kr_buf_str(&text) + strspn(kr_buf_str(&text), " \t\r\n"),
                              out->v[i].sha256, KR_SHA256_HEX - 1) == 0;
        explicit_bzero(text.p, text.n);
        if (sum)
            continue;
        kr_walk_leave(w, KR_LEFT_OURS, path, NULL);
        kr_files_remove(out, path);
    }
}

static void tell_gate(const struct kr_bundle *what, const char *path, const struct kr_hits *hits)
{
    kr_auto_free char *said = what->said_below != NULL && strcmp(what->said_below, ".") != 0
                                  ? kr_path_join(what->said_below, path)
                                  : kr_strdup(path);

    kr_gate_found(what->gate, said, hits);
}

static int add_all(struct kr_walk *w, struct kr_files *out, struct kr_err *err)
{
    kr_auto_digest_cache struct kr_digest_cache *cache =
        kr_digest_cache_open(w->what->cache_dir, w->real_root);
    kr_auto_buf struct kr_buf keys = KR_BUF_INIT((size_t)1 << 20);

    for (size_t i = 0; i < w->n; i++) {
        struct kr_found *f = &w->v[i];
        kr_auto_free char *disk = kr_path_join(w->real_root, f->path);
        struct kr_file file = {
            .path = f->path, .disk = disk, .executable = (f->st.st_mode & 0100) != 0};
        struct kr_sift how = kr_gate_sift(w->what->gate, f->name == KR_CREDENTIAL_IF_SAID);
        struct kr_sifted sifted;

        if (kr_digest_cache_get(cache, disk, &f->st, &how, &file, &sifted, err) < 0)
            return -(int)err->code;
        if (is_left_out(w, f, disk, sifted.content))
            continue;
        if (sifted.content == KR_CONTENT_KEY && !f->taken)
            kr_buf_add(&keys, f->path, strlen(f->path) + 1);
        else
            tell_gate(w->what, f->path, &sifted.hits);
        if (kr_files_add_known(out, &file, err) < 0)
            return -(int)err->code;
    }
    if (keys.n > 0)
        drop_keys(w, kr_buf_str(&keys), out);
    return kr_buf_check(&keys, err);
}

int kr_bundle_collect(const struct kr_bundle *what, struct kr_files *out, json_t *warnings,
                      struct kr_err *err)
{
    struct kr_walk w = {.what = what, .warnings = warnings, .prefix = kr_strdup("")};
    int rc;

    w.real_root = realpath(what->root, NULL);
    if (w.real_root == NULL) {
        free(w.prefix);
        return kr_fail_errno(err, errno, "source folder %s", what->root);
    }
    rc = kr_walk(&w, err);
    if (rc == 0)
        kr_walk_drop_links(&w);
    if (rc == 0 && w.n > 1)
        qsort(w.v, w.n, sizeof(*w.v), by_path);
    if (rc == 0)
        rc = check_sizes(&w, err);
    if (rc == 0)
        rc = add_all(&w, out, err);
    if (rc == 0)
        kr_walk_tell(&w);
    kr_walk_finish(&w);
    return rc < 0 ? -(int)err->code : 0;
}
