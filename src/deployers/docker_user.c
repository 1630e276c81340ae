/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a container runs as. The image may know the user by name, or not at all. */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"
#include "core/image_layout.h"
#include "oci/tree.h"

#include <string.h>

enum { PASSWD_MAX = 1 << 20 };

char *kr_docker_user(const struct kr_deployment *what)
{
    const json_t *given = kr_docker_run_arg(json_object_get(what->settings, "run_args"), "user");
    const json_t *docker = kr_json_at(what->snapshot, "settings", "docker", NULL);

    if (json_is_integer(given))
        return kr_asprintf("%lld:%lld", (long long)json_integer_value(given),
                           (long long)json_integer_value(given));
    return kr_image_user(given != NULL ? json_string_value(given)
                                       : kr_json_str(docker, "user", NULL));
}

/* Reads one of the container's own tables through a file of ours, which *path names afterwards.
 * *found: false when it has none. */
static int copy_out(const char *container, const char *table, const char *dir, struct kr_buf *text,
                    bool *found, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 60000};
    kr_auto_free char *path = kr_path_join(dir, table);

    *found = false;
    kr_words_add(&call.words, "cp");
    kr_words_add(&call.words, "--follow-link");
    kr_words_addf(&call.words, "%s:/etc/%s", container, table);
    kr_words_add(&call.words, path);
    if (kr_engine_run(&call, "read the users of the image", NULL, err) < 0) {
        if (err->code != KR_E_NOT_FOUND && strstr(err->msg, "Could not find the file") == NULL)
            return -(int)err->code;
        kr_err_clear(err);
        return 0;
    }
    *found = true;
    return kr_file_read(path, text, err);
}

/* The fields of the line of `name:x:1000:1000:...` whose field `which` is `word`. */
static bool find_line(const struct kr_buf *table, size_t which, struct kr_view word,
                      struct kr_view field[4])
{
    struct kr_view rest = {table->p, table->n}, line;
    bool more = table->n > 0;

    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        for (size_t i = 0; i < 4; i++)
            (void)kr_view_cut(&line, ':', &field[i]);
        if (field[which].n == word.n && word.n > 0 && memcmp(field[which].p, word.p, word.n) == 0)
            return true;
    }
    return false;
}

static bool number_of(struct kr_view text, uint32_t *out)
{
    uint64_t number;

    if (!kr_view_u64(text, &number) || number > UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

static int unknown(const char *kind, struct kr_view name, struct kr_err *err)
{
    return kr_fail(err, KR_E_INVALID, "user: the image has no %s '" KR_VIEW_FMT "'", kind,
                   KR_VIEW_ARG(name));
}

/* A line for a user that the image does not know: libraries ask for its name. */
static int add_entry(const char *container, const char *dir, struct kr_buf *table, uint32_t uid,
                     uint32_t gid, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 60000};
    kr_auto_free char *path = kr_path_join(dir, "passwd");
    struct kr_view field[4];

    if (table->n > 0 && table->p[table->n - 1] != '\n')
        kr_buf_addc(table, '\n');
    kr_buf_addf(table, "%s:x:%u:%u::" KR_IMAGE_HOME ":/bin/sh\n",
                find_line(table, 0, kr_view_of("kourou"), field) ? "kourou-app" : "kourou", uid,
                gid);
    if (kr_buf_check(table, err) < 0 ||
        kr_file_write_atomic(path, table->p, table->n, 0644, err) < 0)
        return -(int)err->code;
    kr_words_add(&call.words, "cp");
    kr_words_add(&call.words, path);
    kr_words_addf(&call.words, "%s:/etc/passwd", container);
    return kr_engine_run(&call, "name the user in the container", NULL, err);
}

static int find_group(const char *container, const char *dir, struct kr_view name, uint32_t *gid,
                      struct kr_err *err)
{
    kr_auto_buf struct kr_buf table = KR_BUF_INIT(PASSWD_MAX);
    struct kr_view field[4];
    bool found;

    if (number_of(name, gid))
        return 0;
    if (copy_out(container, "group", dir, &table, &found, err) < 0)
        return -(int)err->code;
    return find_line(&table, 0, name, field) && number_of(field[2], gid)
               ? 0
               : unknown("group", name, err);
}

static int find_user(const char *container, const char *user, bool read_only, const char *dir,
                     uint32_t *uid, uint32_t *gid, struct kr_err *err)
{
    kr_auto_buf struct kr_buf table = KR_BUF_INIT(PASSWD_MAX);
    struct kr_view group = kr_view_of(user), name, field[4];
    bool grouped = kr_view_cut(&group, ':', &name), numeric = number_of(name, uid), found;

    if (copy_out(container, "passwd", dir, &table, &found, err) < 0)
        return -(int)err->code;
    if (find_line(&table, numeric ? 2 : 0, name, field)) {
        if ((!numeric && !number_of(field[2], uid)) || (!grouped && !number_of(field[3], gid)))
            return unknown("user", name, err);
        return grouped ? find_group(container, dir, group, gid, err) : 0;
    }
    if (!numeric)
        return unknown("user", name, err);
    *gid = *uid;
    if (grouped && find_group(container, dir, group, gid, err) < 0)
        return -(int)err->code;
    return found && !read_only ? add_entry(container, dir, &table, *uid, *gid, err) : 0;
}

int kr_docker_find_user(const struct kr_docker *docker, const char *container, const char *user,
                        bool read_only, uint32_t *uid, uint32_t *gid, struct kr_err *err)
{
    kr_auto_free char *cache = kr_path_join(docker->env->data_dir, "cache"), *dir = NULL;
    int rc;

    if (kr_tree_temp(cache, &dir, err) < 0)
        return -(int)err->code;
    rc = find_user(container, user, read_only, dir, uid, gid, err);
    (void)!kr_remove_tree(dir, NULL);
    return rc;
}
