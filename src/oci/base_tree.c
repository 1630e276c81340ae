/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/base_tree.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/view.h"
#include "oci/libc_version.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define ENTRIES_MAX  ((size_t)4000000)
#define PATH_BYTES   ((size_t)4096)
#define LINKS_MAX    40 /* followed on one way, as the kernel has it */
#define PROGRAM_HEAD ((size_t)8192)
#define CONFIG_MAX   ((size_t)65536)
#define LIBC_MAX     ((size_t)16 << 20)
#define WHITEOUT     ".wh."
#define OPAQUE       ".wh..wh..opq"

void kr_base_tree_init(struct kr_base_tree *tree)
{
    *tree = (struct kr_base_tree){.top = json_object(), .err = KR_ERR_INIT};
}

void kr_base_tree_finish(struct kr_base_tree *tree)
{
    json_decref(tree->top);
    tree->top = NULL;
}

/* -- ways through the tree --------------------------------------------------------------------- */

/* A way that is being walked: real is where it stands, rest what is still to go. */
struct way {
    const struct kr_base_tree *tree;
    struct kr_buf real; /* "usr/bin" */
    char *rest;
    int links;
};

static void way_finish(struct way *w)
{
    kr_buf_finish(&w->real);
    free(w->rest);
}

/* Node at a path without links. */
static json_t *node_of(const struct kr_base_tree *tree, const char *real)
{
    struct kr_view rest = kr_view_of(real), part;
    json_t *node = tree->top;
    bool more = real[0] != '\0';

    while (more && json_is_object(node)) {
        kr_auto_free char *name = NULL;

        more = kr_view_cut(&rest, '/', &part);
        name = kr_view_dup(part);
        node = json_object_get(node, name);
    }
    return more ? NULL : node;
}

static void go_up(struct way *w)
{
    const char *slash = strrchr(kr_buf_str(&w->real), '/');

    if (w->real.n > 0) {
        w->real.n = slash != NULL ? (size_t)(slash - w->real.p) : 0;
        w->real.p[w->real.n] = '\0';
    }
}

/* The first part of rest is cut off; NULL at the end. Caller frees. */
static char *next_part(struct way *w)
{
    size_t skip = strspn(w->rest, "/"), n = strcspn(w->rest + skip, "/");
    char *part = n > 0 ? kr_strndup(w->rest + skip, n) : NULL, *left;

    if (part == NULL)
        return NULL;
    left = kr_strdup(w->rest + skip + n);
    free(w->rest);
    w->rest = left;
    return part;
}

static bool is_link(const json_t *node)
{
    return json_is_string(node) && json_string_value(node)[0] == 'l';
}

static bool is_last(const struct way *w)
{
    return w->rest[strspn(w->rest, "/")] == '\0';
}

/* One part further. The end of the way may be a link; `last` follows that too. False: the way ends
 * in a ring of links, or is too long. */
static bool step(struct way *w, const char *part, bool last)
{
    size_t before = w->real.n;
    const json_t *node;
    kr_auto_free char *rest = NULL;

    if (strcmp(part, ".") == 0)
        return true;
    if (strcmp(part, "..") == 0) {
        go_up(w);
        return true;
    }
    if (before > 0)
        kr_buf_addc(&w->real, '/');
    kr_buf_adds(&w->real, part);
    node = node_of(w->tree, kr_buf_str(&w->real));
    if (w->real.failed || !is_link(node) || (is_last(w) && !last))
        return !w->real.failed;
    if (++w->links > LINKS_MAX)
        return false;
    rest = kr_asprintf("%s/%s", json_string_value(node) + 1, w->rest);
    if (strlen(rest) > PATH_BYTES)
        return false;
    w->real.n = json_string_value(node)[1] == '/' ? 0 : before;
    w->real.p[w->real.n] = '\0';
    free(w->rest);
    w->rest = kr_steal(&rest);
    return true;
}

static bool walk(struct way *w, const struct kr_base_tree *tree, const char *path, bool last)
{
    char *part;
    bool good = strlen(path) <= PATH_BYTES;

    *w = (struct way){.tree = tree, .real = KR_BUF_INIT(2 * PATH_BYTES), .rest = kr_strdup(path)};
    while (good && (part = next_part(w)) != NULL) {
        good = step(w, part, last);
        free(part);
    }
    return good;
}

static enum kr_base_kind kind_of(const json_t *node)
{
    static const char letters[] = {[KR_BASE_SCRIPT] = '#',
                                   [KR_BASE_PROGRAM] = 'p',
                                   [KR_BASE_LIBC] = 'c',
                                   [KR_BASE_CONFIG] = 't'};

    if (node == NULL || is_link(node))
        return KR_BASE_NONE;
    if (json_is_object(node))
        return KR_BASE_FOLDER;
    for (size_t i = KR_BASE_SCRIPT; i < sizeof(letters); i++) {
        if (json_string_value(node)[0] == letters[i])
            return (enum kr_base_kind)i;
    }
    return KR_BASE_FILE;
}

enum kr_base_kind kr_base_tree_at(const struct kr_base_tree *tree, const char *path, char **real,
                                  const char **note)
{
    kr_auto(way_finish) struct way w;
    bool good = walk(&w, tree, path, true);
    const json_t *node = good ? node_of(tree, kr_buf_str(&w.real)) : NULL;

    if (real != NULL)
        *real = kr_asprintf("/%s", kr_buf_str(&w.real));
    if (note != NULL)
        *note = json_is_string(node) ? json_string_value(node) + 1 : "";
    return kind_of(node);
}

char *kr_base_tree_place(const struct kr_base_tree *tree, const char *path)
{
    kr_auto(way_finish) struct way w;

    if (!walk(&w, tree, path, false))
        return kr_strdup(path + strspn(path, "/"));
    return kr_strdup(kr_buf_str(&w.real));
}

void kr_base_tree_list(const struct kr_base_tree *tree, const char *path,
                       void (*name)(void *data, const char *name), void *data)
{
    kr_auto(way_finish) struct way w;
    json_t *node = walk(&w, tree, path, true) ? node_of(tree, kr_buf_str(&w.real)) : NULL, *value;
    const char *key;

    json_object_foreach(node, key, value) name(data, key);
}

/* -- layers ------------------------------------------------------------------------------------ */

/* The folder a path lies in, made when it is missing; a file in the way is replaced, as unpacking
 * does it. */
static json_t *folder_for(struct kr_base_tree *tree, const char *path, const char **name)
{
    kr_auto_free char *place = kr_base_tree_place(tree, path);
    const char *slash = strrchr(path, '/');
    struct kr_view rest = kr_view_of(place), part;
    json_t *folder = tree->top;

    *name = slash != NULL ? slash + 1 : path;
    while (kr_view_cut(&rest, '/', &part)) {
        kr_auto_free char *key = kr_view_dup(part);
        json_t *next = json_object_get(folder, key);

        if (!json_is_object(next)) {
            next = json_object();
            (void)json_object_set_new_nocheck(folder, key, next);
        }
        folder = next;
    }
    return folder;
}

static void put(struct kr_base_tree *tree, const char *path, char kind, const char *note, size_t n)
{
    const char *name;
    json_t *folder = folder_for(tree, path, &name);
    kr_auto_free char *text = kr_asprintf("%c%.*s", kind, (int)n, note);

    (void)json_object_set_new_nocheck(folder, name, json_string_nocheck(text));
}

static void put_folder(struct kr_base_tree *tree, const char *path)
{
    const char *name;
    json_t *folder = folder_for(tree, path, &name);

    if (!json_is_object(json_object_get(folder, name)))
        (void)json_object_set_new_nocheck(folder, name, json_object());
}

static void take_out(struct kr_base_tree *tree, const char *path)
{
    const char *name;
    json_t *folder = folder_for(tree, path, &name);

    if (strcmp(name, OPAQUE) == 0)
        (void)json_object_clear(folder);
    else
        (void)json_object_del(folder, name + strlen(WHITEOUT));
}

static void copy_node(struct kr_base_tree *tree, const char *path, const char *target)
{
    kr_auto_free char *from = kr_base_tree_place(tree, target);
    json_t *node = json_incref(node_of(tree, from));
    const char *name;
    json_t *folder = folder_for(tree, path, &name);

    if (json_is_string(node))
        (void)json_object_set_nocheck(folder, name, node);
    else
        (void)json_object_set_new_nocheck(folder, name, json_string_nocheck("f"));
    json_decref(node);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static bool is_libc(const char *name)
{
    static const char *const patterns[] = {"libc.so.6", "libc-2.*.so", "libc.so",
                                           "ld-musl-x86_64.so.1"};

    for (size_t i = 0; i < KR_ARRAY_LEN(patterns); i++) {
        if (fnmatch(patterns[i], name, 0) == 0)
            return true;
    }
    return false;
}

/* A path that leaves the image, or one that means the image itself, is nothing to us. */
static bool is_usable(const char *path)
{
    struct kr_view rest = kr_view_of(path), part;
    bool more = true;

    if (path[0] == '\0' || strlen(path) > PATH_BYTES)
        return false;
    while (more) {
        more = kr_view_cut(&rest, '/', &part);
        if (part.n == 0 || kr_view_eq(part, "..") || kr_view_eq(part, "."))
            return false;
    }
    return true;
}

static size_t wanted_of(const char *name)
{
    if (strcmp(name, "pyvenv.cfg") == 0)
        return CONFIG_MAX;
    if (kr_starts_with(name, "python"))
        return PROGRAM_HEAD;
    return is_libc(name) ? LIBC_MAX : 0;
}

static bool on_entry(void *data, const struct kr_tar_entry *entry, size_t *wanted)
{
    struct kr_base_tree *tree = data;
    const char *name = base_name(entry->path);

    if (++tree->entries > ENTRIES_MAX) {
        (void)kr_fail(&tree->err, KR_E_LIMIT, "the image has more than %zu files", ENTRIES_MAX);
        return false;
    }
    if (!is_usable(entry->path))
        return true;
    if (kr_starts_with(name, WHITEOUT)) {
        take_out(tree, entry->path);
    } else if (entry->type == KR_TAR_FOLDER) {
        put_folder(tree, entry->path);
    } else if (entry->type == KR_TAR_LINK) {
        put(tree, entry->path, 'l', entry->target, strnlen(entry->target, PATH_BYTES));
    } else if (entry->type == KR_TAR_HARD_LINK) {
        copy_node(tree, entry->path, entry->target);
    } else {
        put(tree, entry->path, 'f', "", 0);
        *wanted = wanted_of(name);
    }
    return true;
}

static void see_program(struct kr_base_tree *tree, const char *path, const char *bytes, size_t n)
{
    static const char *const loaders[][2] = {{"/ld-musl-", "musl"}, {"/ld-linux-", "glibc"}};

    if (n >= 2 && memcmp(bytes, "#!", 2) == 0)
        put(tree, path, '#', "", 0);
    for (size_t i = 0; i < KR_ARRAY_LEN(loaders); i++) {
        if (n > 4 && memcmp(bytes, "\177ELF", 4) == 0 &&
            memmem(bytes, n, loaders[i][0], strlen(loaders[i][0])) != NULL)
            put(tree, path, 'p', loaders[i][1], strlen(loaders[i][1]));
    }
}

static void on_contents(void *data, const struct kr_tar_entry *entry, const char *bytes, size_t n)
{
    struct kr_base_tree *tree = data;
    const char *name = base_name(entry->path);
    struct kr_libc libc;

    if (strcmp(name, "pyvenv.cfg") == 0) {
        put(tree, entry->path, 't', bytes, strnlen(bytes, n));
    } else if (kr_starts_with(name, "python")) {
        see_program(tree, entry->path, bytes, n);
    } else if (kr_libc_version(bytes, n, &libc)) {
        kr_auto_free char *note = kr_asprintf("%s %d", libc.musl ? "musl" : "glibc", libc.minor);

        put(tree, entry->path, 'c', note, strlen(note));
    }
}

int kr_base_tree_add(struct kr_base_tree *tree, int fd, struct kr_err *err)
{
    struct kr_tar_reader reader = {.data = tree, .entry = on_entry, .contents = on_contents};

    if (kr_tar_read(fd, &reader, err) < 0)
        return -(int)err->code;
    if (tree->err.code != KR_OK) {
        *err = tree->err;
        return -(int)err->code;
    }
    return 0;
}
