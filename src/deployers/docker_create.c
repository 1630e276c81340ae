/* SPDX-License-Identifier: Apache-2.0 */
/* Making a container: its options, and what is copied into it before it starts. */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "core/image_layout.h"
#include "deployers/lifecycle.h"
#include "deployers/space.h"
#include "oci/tar.h"
#include "pack/gate.h"
#include "pack/launch.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512 };
#define ARCHIVE_MAX ((size_t)2 << 30)
#define STR_(x)     #x
#define CONTROL                                                                                    \
    "\001\002\003\004\005\006\007\010\012\013\014\015\016\017\020\021\022\023\024\025\026\027"     \
    "\030\031\032\033\034\035\036\037\177"
#define STR(x) STR_(x)

json_t *kr_docker_secrets(const struct kr_deployment *what)
{
    json_t *all = json_object();

    if (what->secrets != NULL)
        (void)json_object_update(all, (json_t *)(uintptr_t)what->secrets);
    if (what->auth_key != NULL)
        kr_json_set_str(all, KR_SPACE_AUTH_SECRET, what->auth_key);
    return all;
}

/* -- the secrets ------------------------------------------------------------------------------- */

/* An archive of one file that belongs to the app's user and that nobody else can read. */
static void add_private_file(struct kr_buf *out, const char *name, const char *text, uint32_t uid,
                             uint32_t gid)
{
    char header[BLOCK] = {0};
    size_t n = strlen(text);
    unsigned sum = 0;

    (void)snprintf(header, 100, "%s", name);
    (void)snprintf(header + 100, 8, "%07o", 0400U);
    (void)snprintf(header + 108, 8, "%07o", uid);
    (void)snprintf(header + 116, 8, "%07o", gid);
    (void)snprintf(header + 124, 12, "%011o", (unsigned)n);
    (void)snprintf(header + 136, 12, "%011o", 0U);
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)header[i];
    (void)snprintf(header + 148, 8, "%06o", sum);
    kr_buf_add(out, header, BLOCK);
    kr_buf_add(out, text, n);
    while (out->n % BLOCK != 0)
        kr_buf_addc(out, '\0');
    memset(header, 0, BLOCK);
    kr_buf_add(out, header, BLOCK);
    kr_buf_add(out, header, BLOCK);
}

static int copy_archive(const struct kr_docker_run *run, const char *to,
                        const struct kr_buf *archive, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.input = archive->p, .input_len = archive->n};

    kr_words_add(&call.words, "cp");
    kr_words_add(&call.words, "-");
    kr_words_addf(&call.words, "%s:%s", run->container, to);
    return kr_engine_run(&call, "copy into the container", NULL, err);
}

static int copy_secrets(const struct kr_docker_run *run, uint32_t uid, uint32_t gid,
                        struct kr_err *err)
{
    kr_auto_free char *text = kr_json_canonical(run->secrets);
    struct kr_buf archive = KR_BUF_INIT((size_t)16 << 20);
    int rc;

    add_private_file(&archive, "env.json", text, uid, gid);
    rc = kr_buf_check(&archive, err);
    if (rc == 0)
        rc = copy_archive(run, KR_DOCKER_SECRETS, &archive, err);
    explicit_bzero(text, strlen(text));
    if (archive.p != NULL)
        explicit_bzero(archive.p, archive.n);
    kr_buf_finish(&archive);
    return rc;
}

/* -- skip_build: what a Space would put upon the image ----------------------------------------- */

static struct kr_launch launch_of(const struct kr_docker *docker, int port, const char *cache)
{
    const struct kr_deployment *what = docker->what;

    return (struct kr_launch){
        .root = what->source_root,
        .cache_dir = cache,
        .runtime_dir = docker->env->runtime_dir,
        .machine = what->machine,
        .python = what->python,
        .snapshot = what->snapshot,
        .id = what->id,
        .name = what->name,
        .snapshot_id = what->snapshot_id,
        .snapshot_name = what->snapshot_name,
        .app_port = port,
        .context = true,
    };
}

static int append(void *data, const void *bytes, size_t n, struct kr_err *err)
{
    struct kr_buf *out = data;

    kr_buf_add(out, bytes, n);
    return kr_buf_check(out, err);
}

static int copy_code(const struct kr_docker *docker, const struct kr_docker_run *run, uint32_t uid,
                     uint32_t gid, struct kr_err *err)
{
    kr_auto_free char *cache = kr_asprintf("%s/cache", docker->env->data_dir);
    kr_auto_free char *snapshot = kr_launch_snapshot(docker->what->snapshot);
    struct kr_launch in = launch_of(docker, run->inside, cache);
    kr_auto_files struct kr_files code = {0}, runtime = {0};
    kr_auto_json json_t *warnings = json_array();
    kr_auto_buf struct kr_buf archive = KR_BUF_INIT(ARCHIVE_MAX);
    struct kr_tar_part parts[] = {
        {.prefix = &KR_IMAGE_APP[1], .files = &code, .uid = uid, .gid = gid},
        {.prefix = &KR_IMAGE_RUNTIME[1], .files = &runtime},
        {.prefix = &KR_IMAGE_HF_HOME[1], .uid = uid, .gid = gid},
        {.prefix = &KR_IMAGE_DATA[1], .uid = uid, .gid = gid},
    };

    struct kr_gate_policy policy = {
        .root = in.root, .cache_dir = cache, .allow = docker->what->allow_secrets};
    kr_auto_gate struct kr_gate *gate = NULL;
    const json_t *text;
    size_t i;

    if (kr_gate_open(&policy, &gate, err) < 0)
        return -(int)err->code;
    in.gate = gate;
    if (kr_launch_source(&in, &code, warnings, err) < 0 || kr_gate_hold_all(gate, &code, err) < 0 ||
        kr_gate_values(gate, "snapshot.json", docker->what->snapshot, err) < 0 ||
        kr_launch_runtime(&in, &runtime, err) < 0 ||
        kr_files_add_bytes(&runtime, "snapshot.json", snapshot, strlen(snapshot), false, err) < 0 ||
        kr_tar_write(parts, KR_ARRAY_LEN(parts), append, &archive, err) < 0)
        return -(int)err->code;
    json_array_foreach(warnings, i, text)
        kr_denv_note(docker->env, true, "%s", json_string_value(text));
    return copy_archive(run, "/", &archive, err);
}

/* -- options ----------------------------------------------------------------------------------- */

static void add_labels(const struct kr_docker *docker, const struct kr_docker_run *run,
                       struct kr_words *words)
{
    kr_words_addf(words, "--label=" KR_LABEL_ID "=%s", docker->what->id);
    kr_words_addf(words, "--label=" KR_LABEL_NAME "=%s", docker->what->name);
    kr_words_addf(words, "--label=" KR_LABEL_PORT "=%d", run->port);
    kr_words_addf(words, "--label=" KR_LABEL_SNAPSHOT "=%s", docker->what->snapshot_id);
    if (run->instance != NULL)
        kr_words_addf(words, "--label=" KR_LABEL_INSTANCE "=%s", run->instance);
    if (run->fingerprint != NULL)
        kr_words_addf(words, "--label=" KR_LABEL_FINGERPRINT "=%s", run->fingerprint);
}

/* Published for this machine alone, as far as we know: the server inside cannot tell. */
static bool is_local_only(const struct kr_docker *docker)
{
    const json_t *run_args = json_object_get(docker->what->settings, "run_args");

    return strcmp(docker->address, "127.0.0.1") == 0 && !kr_docker_host_network(run_args) &&
           json_object_get(run_args, "ports") == NULL &&
           json_object_get(run_args, "publish") == NULL &&
           json_object_get(run_args, "publish_all_ports") == NULL;
}

/* Variables of the docker settings that an image does not hold: those for the running container
 * only, and values that no ENV line of a Dockerfile can have. */
static void add_unwritten(const struct kr_docker *docker, struct kr_words *words)
{
    static const char *const keys[] = {"environment", "runtime_environment"};

    for (size_t i = 0; i < KR_ARRAY_LEN(keys); i++) {
        const char *name;
        json_t *value;

        json_object_foreach(kr_json_at(docker->what->snapshot, "settings", "docker", keys[i], NULL),
                            name, value)
        {
            const char *text = json_string_value(value);

            if (text != NULL && (i == 1 || text[strcspn(text, CONTROL)] != '\0'))
                kr_words_addf(words, "--env=%s=%s", name, text);
        }
    }
}

static void add_environment(const struct kr_docker *docker, const struct kr_docker_run *run,
                            struct kr_words *words)
{
    const char *name;
    json_t *value;

    if (is_local_only(docker))
        kr_words_add(words, "--env=KOUROU_SERVE_LOCAL_ONLY=1");
    if (run->copy_code) {
        kr_words_add(words, "--env=HOME=" KR_IMAGE_HOME);
        kr_words_add(words, "--env=HF_HOME=" KR_IMAGE_HF_HOME);
        kr_words_add(words, "--env=PYTHONUNBUFFERED=1");
        kr_words_add(words, "--workdir=" KR_IMAGE_APP);
    }
    add_unwritten(docker, words);
    json_object_foreach((json_t *)(uintptr_t)docker->what->environment, name, value)
        kr_words_addf(words, "--env=%s=%s", name, json_string_value(value));
    if (json_object_size(run->secrets) > 0)
        kr_words_add(words, "--env=KOUROU_ENV_FILE=" KR_DOCKER_ENV_FILE);
}

/* "512MB", "2GiB", checked already, in bytes: Docker itself counts by 1024 whatever the letters. */
static uint64_t bytes_of(const char *size)
{
    static const char letters[] = "KMGTP";
    char *unit = NULL;
    double bytes = strtod(size, &unit);
    const char *at = unit[0] != '\0' ? strchr(letters, unit[0]) : NULL;

    for (; at != NULL && at >= letters; at--)
        bytes *= unit[1] == 'i' ? 1024 : 1000;
    return (uint64_t)bytes;
}

/* The resources of the pipeline are limits of the container. */
static void add_resources(const json_t *snapshot, struct kr_words *words)
{
    const json_t *resources = kr_json_at(snapshot, "settings", "resources", NULL);
    const json_t *cpus = json_object_get(resources, "cpu_count");
    const char *memory = kr_json_str(resources, "memory", NULL);

    if (json_is_number(cpus))
        kr_words_addf(words, "--cpus=%g", json_number_value(cpus));
    if (memory != NULL)
        kr_words_addf(words, "--memory=%llub", (unsigned long long)bytes_of(memory));
    if (kr_json_int(resources, "gpu_count", 0) > 0)
        kr_words_addf(words, "--gpus=%lld", (long long)kr_json_int(resources, "gpu_count", 0));
}

static void add_command(const struct kr_docker *docker, const struct kr_docker_run *run, int inside,
                        struct kr_words *words)
{
    struct kr_launch in = launch_of(docker, inside, NULL);
    kr_auto_json json_t *entry = run->as_made ? json_array() : kr_launch_entrypoint(&in);

    if (!run->as_made)
        kr_words_addf(words, "--entrypoint=%s", json_string_value(json_array_get(entry, 0)));
    kr_words_add(words, run->image);
    for (size_t i = 1; i < json_array_size(entry); i++)
        kr_words_add(words, json_string_value(json_array_get(entry, i)));
    if (run->instance == NULL)
        return;
    kr_words_add(words, "--gate=" KR_GATE_SOCKET);
    if (strcmp(kr_docker_bind(docker), "0.0.0.0") != 0)
        kr_words_add(words, "--local-only");
    kr_words_addf(words, "--instance=%s", run->instance);
}

/* What goes into a container before it starts. */
static int fill(const struct kr_docker *docker, const struct kr_docker_run *run, const char *user,
                struct kr_err *err)
{
    const json_t *run_args = json_object_get(docker->what->settings, "run_args");
    bool read_only = json_is_true(kr_docker_run_arg(run_args, "read-only"));
    uint32_t uid = KR_IMAGE_UID, gid = KR_IMAGE_UID;

    if ((!run->rehearsal &&
         kr_docker_find_user(docker, run->container, user, read_only, &uid, &gid, err) < 0) ||
        (json_object_size(run->secrets) > 0 && copy_secrets(run, uid, gid, err) < 0))
        return -(int)err->code;
    return run->copy_code ? copy_code(docker, run, uid, gid, err) : 0;
}

/* The group comes from the user's entry in /etc/passwd, which is made when there is none. */
static const char *short_of(const char *user)
{
    kr_auto_free char *usual = kr_image_user(NULL);

    return strcmp(user, usual) == 0 ? STR(KR_IMAGE_UID) : user;
}

int kr_docker_create(const struct kr_docker *docker, const struct kr_docker_run *run,
                     struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 0};
    const json_t *run_args = json_object_get(docker->what->settings, "run_args");
    kr_auto_free char *user = run->rehearsal ? kr_image_user(NULL) : kr_docker_user(docker->what);
    bool read_only = json_is_true(kr_docker_run_arg(run_args, "read-only"));
    struct kr_err ignored = KR_ERR_INIT;

    kr_words_add(&call.words, "create");
    kr_words_addf(&call.words, "--name=%s", run->container);
    if (run->instance == NULL)
        kr_words_addf(&call.words, "--publish=%s:%d:%d", kr_docker_bind(docker), run->port,
                      run->inside);
    else
        kr_words_addf(&call.words, "--mount=type=volume,src=%s,dst=" KR_GATE_FOLDER, docker->gate);
    if (json_object_size(run->secrets) > 0)
        kr_words_add(&call.words, "--mount=type=volume,dst=" KR_DOCKER_SECRETS);
    add_labels(docker, run, &call.words);
    add_environment(docker, run, &call.words);
    if (!run->rehearsal)
        add_resources(docker->what->snapshot, &call.words);
    if (run->network != NULL)
        kr_words_addf(&call.words, "--network=%s", run->network);
    kr_docker_privileges(run_args, &call.words);
    if (kr_engine_options(run_args, "run_args", &call.words, err) < 0)
        return -(int)err->code;
    /* Behind those of run_args: it counts. A container is made without a policy, and gets its own
     * when it has come up. */
    kr_words_addf(&call.words, "--user=%s", read_only ? user : short_of(user));
    kr_words_add(&call.words, "--restart=no");
    add_command(docker, run, run->inside, &call.words);
    if (kr_engine_run(&call, "make the container", NULL, err) < 0)
        return -(int)err->code;
    if (fill(docker, run, user, err) == 0)
        return 0;
    if (kr_docker_remove(docker, run->container, &ignored) < 0)
        kr_denv_note(docker->env, true, "%s", ignored.msg);
    return -(int)err->code;
}
