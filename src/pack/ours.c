/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/ours.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/id.h"
#include "base/path.h"
#include "base/view.h"
#include "pack/content.h"
#include "pack/ignore.h"

#include <fcntl.h>
#include <string.h>

enum { HEX = 64, LOOK_AT = 64 };

static enum kr_content content_at(const char *dir, const char *name)
{
    kr_auto_free char *path = kr_path_join(dir, name);
    kr_auto_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    char head[1024];
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return KR_CONTENT_PLAIN;
    n = read(fd, head, sizeof(head));
    return n > 0 ? kr_content_of(head, (size_t)n, (uint64_t)st.st_size, false) : KR_CONTENT_PLAIN;
}

static bool is_hex_name(const char *name)
{
    return strlen(name) == HEX && strspn(name, "0123456789abcdef") == HEX;
}

/* The folder of a local deployment. */
static bool is_deployment(const char *name)
{
    return kr_glob_match("snapshot.*.json", name) || kr_glob_match("ctl.[0-9]*", name) ||
           strcmp(name, "server.log") == 0;
}

static bool is_build_log(const char *name)
{
    kr_auto_free char *id = kr_strdup(name);
    char *dot = strrchr(id, '.');

    if (dot == NULL || strcmp(dot, ".log") != 0)
        return false;
    *dot = '\0';
    return kr_uuid_is(id);
}

static bool is_memory(const char *name)
{
    return kr_glob_match("digests-????????????????", name) || strcmp(name, "blobs") == 0 ||
           strcmp(name, "notes") == 0;
}

/* How many of the first entries are of the kind; *all: none is not. */
static int count(const char *dir, bool (*is)(const char *name), bool *all)
{
    kr_auto_dir DIR *d = opendir(dir);
    struct dirent *entry;
    int n = 0, seen = 0;

    *all = true;
    while (d != NULL && seen < LOOK_AT && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        seen++;
        if (is(entry->d_name))
            n++;
        else
            *all = false;
    }
    *all = *all && n > 0;
    return n;
}

/* A part of a home that lies somewhere by itself. */
static bool is_part(const char *full, const char *name)
{
    bool all;

    if (strcmp(name, "code") == 0 && count(full, is_hex_name, &all) > 0 && all)
        return true;
    if (strcmp(name, "builds") == 0 && count(full, is_build_log, &all) > 0 && all)
        return true;
    if (strcmp(name, "cache") == 0 && count(full, is_memory, &all) > 1)
        return true;
    if (strcmp(name, "deployments") == 0 && count(full, kr_uuid_is, &all) > 0 && all)
        return true;
    return kr_uuid_is(name) && count(full, is_deployment, &all) > 1;
}

static bool is_same(const char *path, const struct stat *st)
{
    struct stat other;

    return path != NULL && stat(path, &other) == 0 && other.st_dev == st->st_dev &&
           other.st_ino == st->st_ino;
}

bool kr_ours_folder(const char *full, const char *name, const struct stat *st)
{
    kr_auto_free char *data = kr_env_data_dir(), *config = kr_env_config_dir();

    return is_same(data, st) || is_same(config, st) ||
           content_at(full, "store.db") == KR_CONTENT_OURS ||
           content_at(full, "encryption.key") == KR_CONTENT_KEY || is_part(full, name);
}

bool kr_ours_name(const char *name)
{
    static const char *const names[] = {"store.db*", "encryption.key*", "cache", "tmp",
                                        "builds",    "deployments",     "locks"};

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        if (kr_glob_match(names[i], name))
            return true;
    }
    return false;
}

bool kr_ours_has_other_base(const char *full)
{
    static const char *const ends[] = {"-wal", "-journal", "-shm"};

    for (size_t i = 0; i < KR_ARRAY_LEN(ends); i++) {
        kr_auto_free char *base = kr_strdup(full);
        kr_auto_fd int fd = -1;
        char head[16] = "";

        if (!kr_ends_with(full, ends[i]))
            continue;
        base[strlen(base) - strlen(ends[i])] = '\0';
        fd = open(base, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        return fd >= 0 && read(fd, head, sizeof(head)) == (ssize_t)sizeof(head) &&
               memcmp(head, "SQLite format 3", sizeof(head)) == 0 &&
               content_at("", base) != KR_CONTENT_OURS;
    }
    return false;
}
