/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/engine.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/view.h"
#include "deployers/lifecycle.h"
#include "base/base64.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

enum { CALL_MS = 120000, CHECK_MS = 20000, OUTPUT_MAX = 4 << 20, SAID_MAX = 32768 };

const json_t *kr_engine_build_options(const json_t *docker, const char *key)
{
    const json_t *own = kr_json_at(docker, key, "build_options", NULL);

    return json_object_size(own) > 0 ? own : json_object_get(docker, "build_options");
}

void kr_engine_call_finish(struct kr_engine_call *call)
{
    kr_words_finish(&call->words);
}

/* -- logins ------------------------------------------------------------------------------------ */

/* Whether the user has chosen one of Docker's contexts; asking the program each time would cost too
 * much. */
static bool has_context(void)
{
    const char *folder = kr_env_get("DOCKER_CONFIG"), *name = kr_env_get("DOCKER_CONTEXT");
    kr_auto_free char *home = folder != NULL ? kr_strdup(folder) : kr_path_expand_home("~/.docker");
    kr_auto_free char *file = kr_path_join(home, "config.json");
    kr_auto_json json_t *config = NULL;
    struct kr_err ignored = KR_ERR_INIT; /* docker itself tells what is wrong with its file */

    if (name == NULL && kr_path_exists(file) &&
        kr_json_read_file(file, OUTPUT_MAX, &config, &ignored) == 0)
        name = kr_json_str(config, "currentContext", NULL);
    return name != NULL && name[0] != '\0' && strcmp(name, "default") != 0;
}

/* Where the engine is, by DOCKER_HOST or a context; NULL: on this machine, as usual. Caller
 * frees. */
static char *engine_host(void)
{
    const char *said_so = kr_env_get("DOCKER_HOST");
    char *argv[] = {(char *)(uintptr_t) "docker",
                    (char *)(uintptr_t) "context",
                    (char *)(uintptr_t) "inspect",
                    (char *)(uintptr_t) "--format",
                    (char *)(uintptr_t) "{{.Endpoints.docker.Host}}",
                    NULL};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(4096), said = KR_BUF_INIT(4096);
    struct kr_proc_opts opts = {.out = &out, .err_out = &said, .timeout_ms = CHECK_MS};
    struct kr_err ignored = KR_ERR_INIT;
    kr_auto_free char *host = NULL;
    int status = 1;

    if (said_so != NULL)
        return kr_strdup(said_so);
    if (!has_context() || kr_proc_run(argv, &opts, &status, &ignored) < 0 || status != 0)
        return NULL;
    host = kr_view_dup(kr_view_trim((struct kr_view){kr_buf_str(&out), out.n}));
    return host[0] != '\0' ? kr_steal(&host) : NULL;
}

/* The engine that the user's configuration names: a temporary one has no contexts. */
static void keep_context(char ***env)
{
    kr_auto_free char *host = engine_host();

    if (host != NULL)
        kr_env_set(env, "DOCKER_HOST", host);
}

/* A configuration folder with nothing but this login. */
static int write_login(const struct kr_login *login, char **dir, struct kr_err *err)
{
    const char *base = kr_env_get("TMPDIR");
    kr_auto_free char *folder = kr_path_join(base != NULL ? base : "/tmp", "kourou-login-XXXXXX");
    kr_auto_free char *file = NULL, *pair = NULL, *text = NULL;
    kr_auto_buf struct kr_buf coded = KR_BUF_INIT(65536);
    kr_auto_json json_t *config = NULL;
    bool hub = strcmp(login->registry, "docker.io") == 0;

    if (mkdtemp(folder) == NULL)
        return kr_fail_errno(err, errno, "folder in %s", base != NULL ? base : "/tmp");
    pair = kr_asprintf("%s:%s", login->user, login->password);
    kr_base64_add(&coded, pair, strlen(pair));
    config =
        json_pack("{s:{s:{s:s}}}", "auths", hub ? "https://index.docker.io/v1/" : login->registry,
                  "auth", kr_buf_str(&coded));
    text = kr_json_canonical(config);
    file = kr_path_join(folder, "config.json");
    *dir = kr_steal(&folder);
    return kr_file_write_atomic(file, text, strlen(text), 0600, err);
}

bool kr_engine_login(const json_t *stack, struct kr_login *out, char registry[256])
{
    const json_t *row = json_object_get(stack, "container_registry");
    const json_t *login = json_object_get(row, "login");
    const char *uri = kr_json_str(json_object_get(row, "config"), "uri", "");

    *out = (struct kr_login){.registry = registry,
                             .user = kr_json_str(login, "username", NULL),
                             .password = kr_json_str(login, "password", NULL)};
    (void)snprintf(registry, 256, "%.*s", (int)strcspn(uri, "/"), uri);
    return out->user != NULL && out->password != NULL;
}

/* -- calls ------------------------------------------------------------------------------------- */

struct running {
    const struct kr_engine_call *call;
    struct kr_buf said; /* the last lines */
};

static void on_line(const char *text, bool is_stderr, void *data)
{
    struct running *r = data;

    (void)is_stderr;
    while (r->said.n + strlen(text) + 2 > SAID_MAX && r->said.n > 0) {
        const char *end = memchr(r->said.p, '\n', r->said.n);

        kr_buf_drop(&r->said, end != NULL ? (size_t)(end - r->said.p) + 1 : r->said.n);
    }
    if (strlen(text) + 2 <= SAID_MAX)
        kr_buf_addf(&r->said, "%s\n", text);
    if (r->call->line != NULL)
        r->call->line(r->call->data, text);
    else if (r->call->env != NULL)
        kr_denv_log_line(r->call->env, r->call->source != NULL ? r->call->source : "docker", text);
}

static bool on_cancelled(void *data)
{
    return kr_denv_cancelled(data);
}

static bool has(struct kr_view line, const char *part)
{
    return line.n > 0 && memmem(line.p, line.n, part, strlen(part)) != NULL;
}

/* What builders and installers say after the fact, about a cause that they have named before. */
static bool is_sequel(struct kr_view line)
{
    static const char *const parts[] = {"failed to solve",
                                        "did not complete successfully",
                                        "executor failed running",
                                        "returned a non-zero code",
                                        "subprocess-exited-with-error",
                                        "metadata-generation-failed",
                                        "legacy-install-failure",
                                        "Failed building wheel",
                                        "Failed to build",
                                        "No matching distribution found",
                                        "Could not build wheels",
                                        "dependency resolver does not currently"};

    for (size_t i = 0; i < KR_ARRAY_LEN(parts); i++) {
        if (has(line, parts[i]))
            return true;
    }
    return false;
}

/* How sure it is that a line names the cause; 0: not at all. */
static int weight(struct kr_view line)
{
    static const char *const sure[] = {
        "Error: ", "Exception: ", "fatal error: ", ": error: ", "Error response"};
    static const char *const likely[] = {"ERROR", "E: ", "error: ", "fatal: ", ": not found"};

    if (is_sequel(line))
        return has(line, "ERROR") || has(line, "error") ? 1 : 0;
    for (size_t i = 0; i < KR_ARRAY_LEN(sure); i++) {
        if (has(line, sure[i]))
            return 3;
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(likely); i++) {
        if (has(line, likely[i]))
            return 2;
    }
    return 0;
}

/* Without "#12 3.456 " of BuildKit in front. */
static struct kr_view said_in(struct kr_view line)
{
    struct kr_view rest = line, word;

    if (line.n < 2 || line.p[0] != '#' || line.p[1] < '0' || line.p[1] > '9')
        return kr_view_trim(line);
    (void)kr_view_cut(&rest, ' ', &word);
    line = rest;
    (void)kr_view_cut(&rest, ' ', &word);
    return kr_view_trim(word.n > 0 && word.p[0] >= '0' && word.p[0] <= '9' ? rest : line);
}

/* The line that names the cause: the first of the surest ones, else the last line. */
struct kr_view kr_engine_cause(const char *text)
{
    struct kr_view rest = kr_view_of(text), line, found = kr_view_last_line(rest);
    int best = 0;
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        if (line.n > 0 && weight(line) > best) {
            best = weight(line);
            found = said_in(line);
        }
    }
    return found;
}

static bool says(const struct kr_buf *text, const char *part)
{
    return strstr(kr_buf_str(text), part) != NULL;
}

static int fail(const struct kr_buf *said, const char *what, int status, struct kr_err *err)
{
    struct kr_view line = kr_engine_cause(kr_buf_str(said));

    if (says(said, "Cannot connect to the Docker daemon") || says(said, "error during connect") ||
        says(said, "permission denied while trying to connect"))
        return kr_fail(err, KR_E_NETWORK, "%s: the Docker engine does not answer: " KR_VIEW_FMT,
                       what, KR_VIEW_ARG(line));
    if (says(said, "address already in use") || says(said, "port is already allocated"))
        return kr_fail(err, KR_E_CONFLICT, "%s: " KR_VIEW_FMT, what, KR_VIEW_ARG(line));
    if (says(said, "could not select device driver")) {
        (void)kr_fail(err, KR_E_INVALID, "%s: " KR_VIEW_FMT, what, KR_VIEW_ARG(line));
        return kr_hint(
            err,
            "the engine's machine has no GPU that containers can use: install NVIDIA's container "
            "toolkit there, or leave gpu_count (resources) and gpus (run_args) out");
    }
    if (says(said, "No such ") || says(said, "no such "))
        return kr_fail(err, KR_E_NOT_FOUND, "%s: " KR_VIEW_FMT, what, KR_VIEW_ARG(line));
    if (says(said, "no space left on device"))
        return kr_fail(err, KR_E_LIMIT, "%s: " KR_VIEW_FMT, what, KR_VIEW_ARG(line));
    if (says(said, "unauthorized") || says(said, "denied:") || says(said, "no basic auth"))
        return kr_fail(err, KR_E_AUTH, "%s: " KR_VIEW_FMT, what, KR_VIEW_ARG(line));
    return kr_fail(err, KR_E_REMOTE, "%s: docker ended with status %d%s" KR_VIEW_FMT, what, status,
                   line.n > 0 ? ": " : "", KR_VIEW_ARG(line));
}

static char **environment_of(const struct kr_engine_call *call, const char *config)
{
    char **env = kr_env_copy();

    kr_env_set(&env, "DOCKER_CLI_HINTS", "false");
    /* Only for builds: a program without buildx complains of it with every other command. */
    if (call->words.n > 0 && strcmp(call->words.v[0], "build") == 0)
        kr_env_set(&env, "DOCKER_BUILDKIT", call->buildkit ? "1" : "0");
    if (config != NULL) {
        keep_context(&env);
        kr_env_set(&env, "DOCKER_CONFIG", config);
    }
    return env;
}

static int no_program(struct kr_err *err)
{
    return kr_fail(err, KR_E_NOT_FOUND, "the docker program is not installed");
}

static int time_left(const struct kr_engine_call *call)
{
    int64_t left = call->until_ms - kr_mono_ms();

    if (call->until_ms == 0 || (call->timeout_ms > 0 && left > call->timeout_ms))
        return call->timeout_ms;
    return left > 0 ? (int)left : 1;
}

int kr_engine_run(struct kr_engine_call *call, const char *what, struct kr_buf *out,
                  struct kr_err *err)
{
    kr_auto_free char *program = kr_path_find_program("docker"), *config = NULL;
    kr_auto_words struct kr_words argv = {0};
    struct running r = {.call = call, .said = KR_BUF_INIT(SAID_MAX)};
    struct kr_proc_opts opts = {.input = call->input,
                                .input_len = call->input_len,
                                .data = &r,
                                .timeout_ms = time_left(call)};
    bool shown = call->line != NULL || call->env != NULL;
    kr_auto_buf struct kr_buf unused = KR_BUF_INIT(OUTPUT_MAX);
    char **env;
    int status = 0, rc;

    if (program == NULL)
        return no_program(err);
    if (call->login != NULL && write_login(call->login, &config, err) < 0)
        return -(int)err->code;
    kr_words_add(&argv, program);
    for (size_t i = 0; i < call->words.n; i++)
        kr_words_add(&argv, call->words.v[i]);
    env = environment_of(call, config);
    opts.env = env;
    if (call->env != NULL) {
        opts.cancelled = on_cancelled;
        opts.cancel_data = (void *)(uintptr_t)call->env;
    }
    if (shown) {
        opts.line = on_line;
    } else {
        opts.out = out != NULL ? out : &unused;
        opts.err_out = &r.said;
    }
    rc = kr_proc_run(argv.v, &opts, &status, err);
    kr_env_free(env);
    if (config != NULL)
        (void)!kr_remove_tree(config, NULL);
    if (rc < 0)
        rc = kr_wrap(err, "%s", what);
    else if (status == 130)
        rc = kr_fail(err, KR_E_CANCELLED, "%s: stopped", what);
    else if (status != 0)
        rc = fail(&r.said, what, status, err);
    kr_buf_finish(&r.said);
    return rc;
}

static struct kr_engine_call short_call(void)
{
    return (struct kr_engine_call){.timeout_ms = CALL_MS};
}

/* Programs before 23 have a client of BuildKit themselves; later ones have it in the plugin
 * buildx. */
static bool can_buildkit(const char *version)
{
    kr_auto_call struct kr_engine_call call = short_call();
    struct kr_err ignored = KR_ERR_INIT;
    double number = 0;
    kr_auto_free char *major = kr_strndup(version, strcspn(version, "."));

    if (kr_parse_double(major, &number) && number >= 18 && number < 23)
        return true;
    kr_words_add(&call.words, "buildx");
    kr_words_add(&call.words, "version");
    return kr_engine_run(&call, "buildx", NULL, &ignored) == 0;
}

int kr_engine_check(bool *buildkit, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = short_call();
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(4096);

    call.timeout_ms = CHECK_MS;
    kr_words_add(&call.words, "version");
    kr_words_add(&call.words, "--format");
    kr_words_add(&call.words, "{{.Client.Version}} {{.Server.Version}}");
    if (kr_engine_run(&call, "Docker", &out, err) < 0)
        return -(int)err->code;
    if (buildkit != NULL)
        *buildkit = can_buildkit(kr_buf_str(&out));
    return 0;
}

int kr_engine_machine(char machine[16], struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = short_call();
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(4096);
    struct kr_view word;

    call.timeout_ms = CHECK_MS;
    kr_words_add(&call.words, "version");
    kr_words_add(&call.words, "--format");
    kr_words_add(&call.words, "{{.Server.Arch}}");
    if (kr_engine_run(&call, "Docker", &out, err) < 0)
        return -(int)err->code;
    word = kr_view_trim(kr_view_of(kr_buf_str(&out)));
    if (word.n == 0 || word.n >= 16)
        return kr_fail(err, KR_E_REMOTE, "Docker does not say what processor its engine has");
    (void)snprintf(machine, 16, KR_VIEW_FMT, KR_VIEW_ARG(word));
    return 0;
}

int kr_engine_inspect(const char *kind, const char *name, json_t **out, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = short_call();
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(OUTPUT_MAX);
    kr_auto_free char *what = kr_asprintf("%s %s", kind, name);
    kr_auto_json json_t *list = NULL;

    *out = NULL;
    kr_words_add(&call.words, kind);
    kr_words_add(&call.words, "inspect");
    kr_words_add(&call.words, name);
    if (kr_engine_run(&call, what, &text, err) < 0 ||
        kr_json_parse(kr_buf_str(&text), text.n, what, &list, err) < 0)
        return -(int)err->code;
    *out = json_incref(json_array_get(list, 0));
    return *out != NULL ? 0 : kr_fail(err, KR_E_NOT_FOUND, "no %s", what);
}

int kr_engine_containers(const char *const *names, int64_t until_ms, json_t **out,
                         struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = short_call();
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(OUTPUT_MAX);

    *out = NULL;
    call.until_ms = until_ms;
    kr_words_add(&call.words, "container");
    kr_words_add(&call.words, "inspect");
    for (; *names != NULL; names++)
        kr_words_add(&call.words, *names);
    if (kr_engine_run(&call, "containers", &text, err) < 0) {
        if (err->code != KR_E_NOT_FOUND)
            return -(int)err->code;
        kr_err_clear(err); /* some are missing; the others were written all the same */
    }
    if (text.n == 0) { /* of a client that writes no empty list */
        *out = json_array();
        return 0;
    }
    return kr_json_parse(kr_buf_str(&text), text.n, "containers", out, err);
}

int kr_engine_need_image(const struct kr_deployer_env *env, const char *image,
                         const struct kr_login *login, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.login = login, .env = env};
    kr_auto_json json_t *found = NULL;
    kr_auto_free char *what = kr_asprintf("pull image %s", image);

    if (kr_engine_inspect("image", image, &found, err) == 0 || err->code != KR_E_NOT_FOUND)
        return -(int)err->code;
    kr_err_clear(err);
    kr_words_add(&call.words, "pull");
    kr_words_add(&call.words, image);
    return kr_engine_run(&call, what, NULL, err);
}

bool kr_engine_is_near(const char *address)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127 || v4.s_addr == htonl(INADDR_ANY);
    if (inet_pton(AF_INET6, address, &v6) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6) ||
           (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

/* As docker reads it: without a scheme it is tcp://. */
char *kr_engine_host_of(const char *url)
{
    const char *scheme = strstr(url, "://"), *at = scheme != NULL ? scheme + 3 : url, *user;
    size_t n = strcspn(at, "/?#");

    if (url[0] == '\0' || kr_starts_with(url, "unix:") || kr_starts_with(url, "npipe:") ||
        kr_starts_with(url, "fd:"))
        return NULL;
    user = memrchr(at, '@', n);
    at = user != NULL ? user + 1 : at;
    if (at[0] == '[')
        return kr_strndup(at + 1, strcspn(at + 1, "]/?#"));
    n = strcspn(at, ":/?#");
    return n > 0 ? kr_strndup(at, n) : NULL; /* ":2375" and "tcp://" are this machine's */
}

int kr_engine_address(char address[64], struct kr_err *err)
{
    kr_auto_free char *url = engine_host();
    kr_auto_free char *name = url != NULL ? kr_engine_host_of(url) : NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int problem;

    (void)snprintf(address, 64, "127.0.0.1");
    if (name == NULL)
        return 0;
    problem = getaddrinfo(name, NULL, &hints, &found);
    if (problem != 0)
        return kr_fail(err, KR_E_NETWORK, "host of the Docker engine: %s: %s", name,
                       gai_strerror(problem));
    problem = getnameinfo(found->ai_addr, found->ai_addrlen, address, 64, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    return problem == 0 ? 0
                        : kr_fail(err, KR_E_NETWORK, "host of the Docker engine: %s: %s", name,
                                  gai_strerror(problem));
}
