/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/local.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"
#include "deployers/probe.h"

#include <string.h>

enum { MAX_SERVERS = 16, BROKEN_AFTER = 2 };

static void read_server(const json_t *from, struct kr_local_server *out)
{
    *out = (struct kr_local_server){0};
    if (!json_is_object(from))
        return;
    out->generation = kr_json_int(from, "generation", 0);
    out->process.pid = (pid_t)kr_json_int(from, "pid", 0);
    out->process.start = (unsigned long long)kr_json_int(from, "start", 0);
    out->port = (int)kr_json_int(from, "port", 0);
    (void)snprintf(out->address, sizeof(out->address), "%s", kr_json_str(from, "address", ""));
    (void)snprintf(out->fingerprint, sizeof(out->fingerprint), "%s",
                   kr_json_str(from, "fingerprint", ""));
}

static json_t *write_server(const struct kr_local_server *server)
{
    json_t *out;

    if (server->generation == 0)
        return json_null();
    out = json_object();
    kr_json_set_int(out, "generation", server->generation);
    kr_json_set_int(out, "pid", server->process.pid);
    kr_json_set_int(out, "start", (int64_t)server->process.start);
    kr_json_set_int(out, "port", server->port);
    kr_json_set_str(out, "address", server->address);
    kr_json_set_str(out, "fingerprint", server->fingerprint);
    return out;
}

void kr_local_open(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   struct kr_local *out)
{
    *out = (struct kr_local){.env = env, .what = what};
    out->dir = kr_asprintf("%s/deployments/%s", env->data_dir, what->id);
    read_server(json_object_get(what->metadata, "live"), &out->live);
    read_server(json_object_get(what->metadata, "next"), &out->next);
    out->generation = kr_json_int(what->metadata, "generation", 0);
    out->port = (int)kr_json_int(what->metadata, "port", 0);
    out->stopped = kr_json_bool(what->metadata, "stopped", false);
    (void)snprintf(out->boot, sizeof(out->boot), "%s", kr_json_str(what->metadata, "boot", ""));
}

void kr_local_close(struct kr_local *local)
{
    free(local->dir);
    local->dir = NULL;
}

json_t *kr_local_metadata(const struct kr_local *local)
{
    json_t *out = json_object();
    kr_auto_free char *log = kr_path_join(local->dir, "server.log");

    kr_json_set(out, "live", write_server(&local->live));
    kr_json_set(out, "next", write_server(&local->next));
    kr_json_set_int(out, "generation", local->generation);
    kr_json_set_int(out, "port", local->port);
    kr_json_set_bool(out, "stopped", local->stopped);
    kr_json_set_str(out, "boot", local->boot);
    kr_json_set_str(out, "runtime_dir", local->dir);
    kr_json_set_str(out, "log_file", log);
    return out;
}

int kr_local_save(const struct kr_local *local, struct kr_err *err)
{
    kr_auto_json json_t *metadata = kr_local_metadata(local);

    return kr_denv_save(local->env, metadata, err);
}

void kr_local_boot_id(char boot[KR_UUID_SIZE])
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(256);
    struct kr_view id = {0};

    if (kr_file_read("/proc/sys/kernel/random/boot_id", &text, NULL) == 0)
        id = kr_view_trim(kr_view_of(kr_buf_str(&text)));
    (void)snprintf(boot, KR_UUID_SIZE, KR_VIEW_FMT, KR_VIEW_ARG(id));
}

char *kr_local_file(const struct kr_local *local, const char *stem, int64_t generation,
                    const char *suffix)
{
    return kr_asprintf("%s/%s.%lld%s", local->dir, stem, (long long)generation, suffix);
}

/* Generation in a name like "snapshot.12.json", or 0. */
static int64_t generation_of(const char *name)
{
    static const char *const stems[] = {"snapshot.", "ctl.", "port.", "code."};
    struct kr_view rest, head;
    int64_t number = 0;

    for (size_t i = 0; i < KR_ARRAY_LEN(stems); i++) {
        if (!kr_starts_with(name, stems[i]))
            continue;
        rest = kr_view_of(name + strlen(stems[i]));
        (void)kr_view_cut(&rest, '.', &head);
        return kr_view_i64(head, &number) ? number : 0;
    }
    return 0;
}

/* Generation of a running server, from the name of its control socket. */
static int64_t generation_of_process(struct kr_process process)
{
    kr_auto_free char *control = kr_process_option(process, "--control");
    const char *slash = control != NULL ? strrchr(control, '/') : NULL;

    if (control == NULL)
        return 0;
    return generation_of(slash != NULL ? slash + 1 : control);
}

/* A former server reads its code until it has answered what it took. */
static bool is_served(const struct kr_local *local, int64_t generation)
{
    struct kr_process found[MAX_SERVERS];
    size_t n =
        kr_process_find(KR_LOCAL_PROGRAM, "--deployment-id", local->what->id, found, MAX_SERVERS);

    for (size_t i = 0; i < n; i++) {
        if (generation_of_process(found[i]) == generation)
            return true;
    }
    return false;
}

/* A file, or the folder with the code. */
static void remove_entry(const struct kr_local *local, const char *name)
{
    kr_auto_free char *path = kr_path_join(local->dir, name);

    (void)!kr_remove_tree(path, NULL);
}

void kr_local_tidy(const struct kr_local *local, bool all)
{
    kr_auto_dir DIR *dir = opendir(local->dir);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int64_t generation = generation_of(entry->d_name);

        if (generation == 0 || (!all && (generation == local->live.generation ||
                                         generation == local->next.generation)))
            continue;
        if (all || !kr_starts_with(entry->d_name, "code.") || !is_served(local, generation))
            remove_entry(local, entry->d_name);
    }
}

static bool same(struct kr_process a, struct kr_process b)
{
    return a.pid == b.pid && a.start == b.start;
}

/* The listening socket has passed to `next` once it wrote its port file. */
static bool has_taken_over(const struct kr_local *local, const struct kr_local_server *server)
{
    kr_auto_free char *file = kr_local_file(local, "port", server->generation, "");

    return kr_path_exists(file);
}

static void find_next(struct kr_local *local, const struct kr_process *found, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (local->next.generation != 0 &&
            generation_of_process(found[i]) == local->next.generation)
            local->next.process = found[i];
    }
}

int kr_local_reconcile(struct kr_local *local, struct kr_err *err)
{
    struct kr_process found[MAX_SERVERS];
    size_t n =
        kr_process_find(KR_LOCAL_PROGRAM, "--deployment-id", local->what->id, found, MAX_SERVERS);
    bool next_runs;

    find_next(local, found, n);
    next_runs = local->next.generation != 0 && kr_process_alive(local->next.process);
    if (next_runs &&
        (!kr_process_alive(local->live.process) || has_taken_over(local, &local->next)))
        local->live = local->next;
    for (size_t i = 0; i < n; i++) {
        int64_t generation = generation_of_process(found[i]);

        if (same(found[i], local->live.process))
            continue;
        if (generation != 0 && generation < local->live.generation &&
            kr_process_alive(local->live.process))
            continue; /* it finishes the requests it had when it was replaced */
        if (!kr_process_stop(found[i], 2000))
            return kr_fail(err, KR_E_SYSTEM,
                           "a server left over from a cut-off start (pid %d) could not be ended",
                           (int)found[i].pid);
    }
    local->next = (struct kr_local_server){0};
    return 0;
}

int kr_local_stop_all(struct kr_local *local, int64_t grace_ms, struct kr_err *err)
{
    struct kr_process found[MAX_SERVERS];
    size_t n =
        kr_process_find(KR_LOCAL_PROGRAM, "--deployment-id", local->what->id, found, MAX_SERVERS);

    for (size_t i = 0; i < n; i++) {
        if (!kr_process_stop(found[i], grace_ms)) {
            (void)kr_fail(err, KR_E_SYSTEM, "the server (pid %d) could not be ended",
                          (int)found[i].pid);
            return kr_hint(err, "end it by hand: kill -9 %d", (int)found[i].pid);
        }
    }
    return 0;
}

/* A worker that failed once may have had bad luck; one that fails again cannot start. */
static enum kr_local_health judge_503(const char *body, size_t n, char **detail)
{
    kr_auto_json json_t *answer = NULL;
    bool broken;

    if (kr_json_parse(body, n, "health", &answer, NULL) < 0)
        return KR_LOCAL_STARTING;
    broken = kr_json_int(answer, "failures", 0) >= BROKEN_AFTER ||
             strcmp(kr_json_str(answer, "status", ""), "crash-loop") == 0;
    if (detail != NULL)
        *detail = kr_strdup(kr_json_str(answer, "detail", NULL));
    return broken ? KR_LOCAL_BROKEN : KR_LOCAL_STARTING;
}

const char *kr_local_reachable(const char *address)
{
    if (strcmp(address, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(address, "::") == 0 ? "::1" : address;
}

enum kr_local_health kr_local_look(const struct kr_local *local,
                                   const struct kr_local_server *server, int64_t timeout_ms,
                                   char **detail)
{
    kr_auto_free char *path = kr_endpoint_path(local->what->snapshot, "health_url_path", "/health");
    struct kr_probe probe = {.address = kr_local_reachable(server->address),
                             .port = server->port,
                             .path = KR_READY_PATH};

    kr_probe_get(&probe, timeout_ms);
    if (probe.status != 0 && !kr_ready_says(probe.status, probe.body, probe.n)) {
        probe.path = path; /* a server of a former version */
        kr_probe_get(&probe, timeout_ms);
    }
    if (probe.status != 0 && server->instance[0] != '\0' &&
        strcmp(probe.instance, server->instance) != 0) {
        if (detail != NULL)
            *detail = kr_asprintf("something else answers on port %d", server->port);
        return KR_LOCAL_SILENT;
    }
    if (probe.status == 0)
        return KR_LOCAL_SILENT;
    if (probe.status == 503)
        return judge_503(probe.body, probe.n, detail);
    if (probe.status == 200 || !kr_endpoint_on(local->what->snapshot, "health"))
        return KR_LOCAL_HEALTHY;
    if (detail != NULL)
        *detail = kr_asprintf("%s answers with status %d", path, probe.status);
    return KR_LOCAL_STARTING;
}
