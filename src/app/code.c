/* SPDX-License-Identifier: Apache-2.0 */
#include "app/code.h"

#include "app/compile.h"
#include "app/make.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/path.h"
#include "base/view.h"
#include "pack/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

static const char *digest_of(const json_t *document)
{
    return kr_json_str(json_object_get(document, "code"), "digest", NULL);
}

/* The hexadecimal part of "sha256:<hex>"; NULL when it is no digest. Borrowed. */
static const char *hex_of(const char *digest)
{
    const char *hex = digest != NULL ? strchr(digest, ':') : NULL;

    if (hex == NULL || strlen(hex + 1) != KR_SHA256_HEX - 1 ||
        hex[1 + strspn(hex + 1, "0123456789abcdef")] != '\0')
        return NULL;
    return hex + 1;
}

/* <data>/code/<hex>; NULL when the digest is none. */
static char *folder_of(struct kr_app *app, const char *digest)
{
    const char *hex = hex_of(digest);

    return hex != NULL ? kr_asprintf("%s/code/%s", app->data_dir, hex) : NULL;
}

char *kr_code_kept(struct kr_app *app, const json_t *document)
{
    kr_auto_free char *folder = folder_of(app, digest_of(document));

    return folder != NULL && kr_path_is_dir(folder) ? kr_steal(&folder) : NULL;
}

int kr_code_root(struct kr_app *app, const json_t *snapshot, bool exact, char **root,
                 struct kr_err *err)
{
    const json_t *document = json_object_get(snapshot, "document");
    const char *wanted = digest_of(document),
               *source_root = kr_json_str(snapshot, "source_root", "");
    char now[KR_SHA256_HEX + 7] = "";
    struct kr_err unread = KR_ERR_INIT; /* then it is not known to be the same */
    char *kept;

    if (wanted == NULL ||
        (kr_path_is_dir(source_root) &&
         kr_code_digest(app, source_root, document, now, &unread) == 0 && strcmp(now, wanted) == 0))
        return 0;
    kept = kr_code_kept(app, document);
    if (kept != NULL) {
        kr_note(app, KR_NOTE_INFO,
                "the code in %s has changed since the snapshot: the kept copy is used",
                source_root);
        free(*root);
        *root = kept;
        return 0;
    }
    if (exact) {
        (void)kr_fail(err, KR_E_CONFLICT,
                      "the code of that snapshot is gone: %s has changed and no copy was kept",
                      source_root);
        return kr_hint(err, "bring the code back (git checkout), then deploy it");
    }
    if (kr_path_is_dir(source_root))
        kr_note(app, KR_NOTE_WARN,
                "the code in %s has changed since the snapshot; deploy the source to record it",
                source_root);
    return 0;
}

static int copy_file(const char *from, const char *to, bool executable, struct kr_err *err)
{
    kr_auto_fd int in = open(from, O_RDONLY | O_CLOEXEC);
    kr_auto_fd int out =
        in >= 0 ? open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, executable ? 0700 : 0600) : -1;
    ssize_t n = 1;

    if (out < 0)
        return kr_fail_errno(err, errno, "copy %s", from);
    while (n > 0)
        n = sendfile(out, in, NULL, (size_t)1 << 24);
    return n < 0 ? kr_fail_errno(err, errno, "copy %s", from) : 0;
}

int kr_code_copy(const struct kr_files *files, const char *folder, struct kr_err *err)
{
    for (size_t i = 0; i < files->n; i++) {
        const struct kr_file *file = &files->v[i];
        kr_auto_free char *to = NULL, *parent = NULL;

        if (kr_path_under(folder, file->path, &to, err) < 0)
            return -(int)err->code;
        parent = kr_path_parent(to);
        if (kr_mkdir_p(parent, 0700, err) < 0)
            return -(int)err->code;
        if (file->bytes == NULL ? copy_file(file->disk, to, file->executable, err) < 0
                                : kr_file_write_atomic(to, file->bytes, file->size, 0600, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

/* The library of a native pipeline below its root; NULL: it is Python. Caller frees. */
char *kr_code_library(const json_t *document)
{
    char *library = NULL;

    return kr_source_is_native(kr_json_str(json_object_get(document, "pipeline"), "source", ""),
                               &library)
               ? library
               : NULL;
}

int kr_code_collect(struct kr_app *app, const char *root, const json_t *document,
                    struct kr_files *files, bool *same, struct kr_err *err)
{
    kr_auto_free char *cache = kr_path_join(app->data_dir, "cache"), *library = NULL;
    kr_auto_json json_t *warnings = json_array();
    struct kr_bundle bundle = {.root = root, .cache_dir = cache};
    char digest[KR_SHA256_HEX + 7];

    if (kr_bundle_collect(&bundle, files, warnings, err) < 0)
        return -(int)err->code;
    library = kr_code_library(document);
    if (library != NULL && kr_files_find(files, library) == NULL) {
        kr_auto_free char *disk = kr_path_join(root, library);

        if (kr_files_add_disk(files, library, disk, err) < 0)
            return -(int)err->code;
    }
    kr_files_digest(files, digest);
    *same = strcmp(digest, digest_of(document)) == 0;
    return 0;
}

/* Complete or not there: copied under another name, then renamed. */
static int keep(struct kr_app *app, const char *root, const json_t *document, const char *folder,
                struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_free char *half = kr_asprintf("%s.%d", folder, (int)getpid());
    struct kr_err ignored = KR_ERR_INIT;
    bool same = false;

    if (kr_code_collect(app, root, document, &files, &same, err) < 0)
        return -(int)err->code;
    if (!same)
        return kr_fail(err, KR_E_CONFLICT, "the code changed meanwhile");
    if (kr_files_bytes(&files) > KR_CODE_KEEP_MAX)
        return kr_fail(err, KR_E_LIMIT, "it is larger than %d bytes", KR_CODE_KEEP_MAX);
    if (kr_remove_tree(half, err) < 0 || kr_mkdir_p(half, 0700, err) < 0)
        return -(int)err->code;
    if (kr_code_copy(&files, half, err) == 0) {
        if (rename(half, folder) == 0)
            return 0;
        (void)kr_fail_errno(err, errno, "%s", folder);
    }
    if (kr_remove_tree(half, &ignored) < 0)
        kr_log(KR_LOG_DEBUG, "app", "%s", ignored.msg);
    return -(int)err->code;
}

void kr_code_keep(struct kr_app *app, const char *root, const json_t *document)
{
    kr_auto_free char *folder = folder_of(app, digest_of(document));
    struct kr_err err = KR_ERR_INIT;

    if (folder != NULL && !kr_path_is_dir(folder) && keep(app, root, document, folder, &err) < 0)
        kr_log(KR_LOG_DEBUG, "app", "no copy of the code is kept: %s", err.msg);
    kr_code_prune(app);
}

/* Whether a deployment may come back to this code. When that cannot be said it is kept. */
static bool is_used(struct kr_app *app, const char *hex)
{
    kr_auto_free char *digest = kr_asprintf("sha256:%s", hex);
    struct kr_err ignored = KR_ERR_INIT;
    bool used = true;

    return kr_store_code_is_used(app->store, digest, &used, &ignored) < 0 || used;
}

/* "<digest>.<pid>": a copy that was cut off, unless that process is still at it. */
static bool is_leftover(const char *name)
{
    uint64_t pid;

    return strlen(name) > KR_SHA256_HEX && name[KR_SHA256_HEX - 1] == '.' &&
           kr_view_u64(kr_view_of(name + KR_SHA256_HEX), &pid) && kill((pid_t)pid, 0) < 0 &&
           errno == ESRCH;
}

void kr_code_prune(struct kr_app *app)
{
    kr_auto_free char *folder = kr_path_join(app->data_dir, "code");
    kr_auto_dir DIR *dir = opendir(folder);
    struct kr_err err = KR_ERR_INIT;
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        kr_auto_free char *path = NULL;

        if (!is_leftover(entry->d_name) &&
            (strlen(entry->d_name) != KR_SHA256_HEX - 1 || is_used(app, entry->d_name)))
            continue;
        path = kr_path_join(folder, entry->d_name);
        if (kr_remove_tree(path, &err) < 0) {
            kr_log(KR_LOG_DEBUG, "app", "%s", err.msg);
            kr_err_clear(&err);
        }
    }
}
