/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/dockerfile.h"

#include "base/alloc.h"
#include "base/view.h"
#include "core/image_layout.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NEWEST_PYTHON "3.12"
#define STR_(x)       #x
#define STR(x)        STR_(x)

char *kr_default_base(bool native, const char *python)
{
    if (native)
        return kr_strdup("debian:bookworm-slim");
    if (python == NULL || python[0] == '\0')
        python = NEWEST_PYTHON;
    return kr_asprintf("python:%s-slim", python);
}

void kr_dockerfile_exec(struct kr_buf *out, const json_t *words)
{
    kr_auto_free char *text = json_dumps(words, JSON_COMPACT);

    kr_buf_adds(out, text != NULL ? text : "[]");
}

static bool has_control(const char *value)
{
    for (const char *p = value; *p != '\0'; p++) {
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
            return true;
    }
    return false;
}

bool kr_dockerfile_env(struct kr_buf *out, const char *name, const char *value)
{
    if (has_control(value))
        return false;
    kr_buf_addf(out, "ENV %s=\"", name);
    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\' || *p == '$')
            kr_buf_addc(out, '\\');
        kr_buf_addc(out, *p);
    }
    kr_buf_adds(out, "\"\n");
    return true;
}

static int check_env(const json_t *environment, struct kr_err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)environment, key, value)
    {
        const char *text = json_string_value(value);
        size_t n = strlen(text != NULL ? text : "");
        bool ok = isalpha((unsigned char)key[0]) || key[0] == '_';

        for (const char *p = key; *p != '\0'; p++)
            ok &= isalnum((unsigned char)*p) || *p == '_';
        if (!ok)
            return kr_fail(err, KR_E_INVALID, "environment: '%s' is not a variable name", key);
        if (text == NULL)
            return kr_fail(err, KR_E_INVALID, "environment: %s is %s, not a string", key,
                           kr_json_type_name(value));
        if (n > 4 && kr_starts_with(text, "{{") && kr_ends_with(text, "}}")) {
            (void)kr_fail(err, KR_E_INVALID,
                          "environment: %s refers to a secret, and an image holds no secrets", key);
            return kr_hint(err, "name the secret in the pipeline's secrets");
        }
    }
    return 0;
}

/* Variables that no ENV line can hold, as words for env(1): ["env", "NAME=value", ...], or
 * empty. */
static json_t *env_words(const json_t *environment)
{
    json_t *words = json_array(), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)environment, key, value)
    {
        kr_auto_free char *pair = kr_asprintf("%s=%s", key, json_string_value(value));

        if (!has_control(json_string_value(value)))
            continue;
        if (json_array_size(words) == 0)
            (void)json_array_append_new(words, json_string("env"));
        (void)json_array_append_new(words, json_string(pair));
    }
    return words;
}

static void append_word(json_t *words, const char *word)
{
    (void)json_array_append_new(words, json_string(word));
}

static void append_words(json_t *words, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        append_word(words, list[i]);
}

enum { OWNER_SIZE = 256 };

static const char *owner_of(const struct kr_dockerfile *in, char owner[OWNER_SIZE])
{
    kr_auto_free char *user = kr_image_user(in->user);

    (void)snprintf(owner, OWNER_SIZE, "%s", user);
    return owner;
}

/* A user with a name (some libraries ask for it) and the folders it may write to. One that is named
 * is there already. */
static void add_user(const struct kr_dockerfile *in, struct kr_buf *out)
{
    char owner[OWNER_SIZE];
    kr_auto_free char *uid = kr_strdup(owner_of(in, owner));
    char *gid = strchr(uid, ':');

    kr_buf_adds(out, "RUN set -eu; \\\n");
    if (uid[strspn(uid, "0123456789:")] == '\0' && gid != NULL) {
        *gid++ = '\0';
        kr_buf_addf(out,
                    "    grep -q '^[^:]*:[^:]*:%s:' /etc/group || echo 'kourou:x:%s:' >> "
                    "/etc/group; \\\n    grep -q '^[^:]*:[^:]*:%s:' /etc/passwd || echo "
                    "'kourou:x:%s:%s::" KR_IMAGE_HOME ":/bin/sh' >> /etc/passwd; \\\n",
                    gid, gid, uid, uid, gid);
    }
    kr_buf_addf(out, "    mkdir -p %s %s %s; \\\n    chown -R %s %s %s %s\n", KR_IMAGE_HF_HOME,
                KR_IMAGE_DATA, KR_IMAGE_APP, owner, KR_IMAGE_HOME, KR_IMAGE_DATA, KR_IMAGE_APP);
}

static void add_apt(const json_t *packages, struct kr_buf *out)
{
    if (json_array_size(packages) == 0)
        return;
    kr_buf_adds(out, "RUN apt-get update && \\\n    DEBIAN_FRONTEND=noninteractive apt-get install "
                     "-y --no-install-recommends");
    for (size_t i = 0; i < json_array_size(packages); i++)
        kr_buf_addf(out, " \\\n        %s", json_string_value(json_array_get(packages, i)));
    kr_buf_adds(out, " && \\\n    rm -rf /var/lib/apt/lists/*\n");
}

/* What fetches requirements, unless the base image has it. */
static void add_tools(const json_t *tools, struct kr_buf *out)
{
    const json_t *item;
    size_t i;

    json_array_foreach(tools, i, item)
    {
        const char *tool = json_string_value(item);
        const char *program = strcmp(tool, "mercurial") == 0    ? "hg"
                              : strcmp(tool, "subversion") == 0 ? "svn"
                                                                : tool;

        kr_buf_addf(out,
                    "RUN command -v %s >/dev/null || { apt-get update && \\\n"
                    "    DEBIAN_FRONTEND=noninteractive apt-get install -y "
                    "--no-install-recommends ca-certificates %s && \\\n"
                    "    rm -rf /var/lib/apt/lists/*; }\n",
                    program, tool);
    }
}

/* The command that installs the requirements file, as words. */
static json_t *install_words(const struct kr_dockerfile *in)
{
    static const char *const pip[] = {"PIP_NO_CACHE_DIR=1",
                                      "PIP_DISABLE_PIP_VERSION_CHECK=1",
                                      "PIP_ROOT_USER_ACTION=ignore",
                                      "PIP_BREAK_SYSTEM_PACKAGES=1",
                                      "python3",
                                      "-m",
                                      "pip",
                                      "install"};
    static const char *const uv[] = {"UV_NO_CACHE=1",
                                     "UV_SYSTEM_PYTHON=1",
                                     "UV_BREAK_SYSTEM_PACKAGES=1",
                                     "python3",
                                     "-m",
                                     "uv",
                                     "pip",
                                     "install"};
    json_t *words = env_words(in->environment);

    if (json_array_size(words) == 0)
        append_word(words, "env");
    if (in->reqs->uv)
        append_words(words, uv, KR_ARRAY_LEN(uv));
    else
        append_words(words, pip, KR_ARRAY_LEN(pip));
    (void)json_array_extend(words, in->reqs->installer_args);
    append_word(words, "-r");
    append_word(words, KR_IMAGE_RUNTIME "/requirements.txt");
    if (in->reqs->constraints[0] != '\0') {
        append_word(words, "-c");
        append_word(words, KR_IMAGE_RUNTIME "/constraints.txt");
    }
    return words;
}

/* ${NAME} in the requirements: a build argument when NAME is a variable, else a secret that is
 * mounted for this one instruction and stays out of the image. */
static json_t *open_variables(const struct kr_dockerfile *in, struct kr_buf *out)
{
    kr_auto_buf struct kr_buf shell = KR_BUF_INIT(65536);
    kr_auto_buf struct kr_buf mounts = KR_BUF_INIT(65536);
    json_t *words = json_array();

    for (size_t i = 0; i < json_array_size(in->reqs->variables); i++) {
        const char *name = json_string_value(json_array_get(in->reqs->variables, i));

        if (json_object_get(in->environment, name) != NULL)
            continue;
        if (json_object_get(in->variables, name) != NULL) {
            kr_buf_addf(out, "ARG %s\n", name);
            continue;
        }
        kr_buf_addf(&mounts, "--mount=type=secret,id=%s,mode=0444,required=true ", name);
        kr_buf_addf(&shell, "%s=$(cat /run/secrets/%s) && export %s && ", name, name, name);
    }
    kr_buf_addf(out, "RUN %s", kr_buf_str(&mounts));
    if (shell.n > 0) {
        kr_buf_adds(&shell, "exec \"$@\"");
        append_word(words, "sh");
        append_word(words, "-c");
        append_word(words, kr_buf_str(&shell));
        append_word(words, "sh");
    }
    return words;
}

static void add_requirements(const struct kr_dockerfile *in, struct kr_buf *out)
{
    kr_auto_json json_t *words = NULL, *install = NULL;

    if (in->reqs == NULL || in->reqs->text[0] == '\0')
        return;
    add_tools(in->reqs->tools, out);
    kr_buf_addf(out, "COPY .kourou/requirements.txt%s " KR_IMAGE_RUNTIME "/\n",
                in->reqs->constraints[0] != '\0' ? " .kourou/constraints.txt" : "");
    if (in->reqs->uv)
        kr_buf_adds(out, "RUN PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --no-cache-dir "
                         "--disable-pip-version-check uv\n");
    words = open_variables(in, out);
    install = install_words(in);
    (void)json_array_extend(words, install);
    kr_dockerfile_exec(out, words);
    kr_buf_addc(out, '\n');
}

/* Files arrive from the Hub without executable bits; a stage of its own sets them, so that the
 * final image has each file once. */
static void add_runtime_stage(const struct kr_dockerfile *in, const char *from, struct kr_buf *out)
{
    kr_buf_addf(out, "\nFROM %s AS kourou-runtime\nUSER root\n", from);
    kr_buf_adds(out, "COPY .kourou/bin/ " KR_IMAGE_RUNTIME "/bin/\n");
    if (!in->native)
        kr_buf_adds(out, "COPY .kourou/python/ " KR_IMAGE_RUNTIME "/python/\n");
    kr_buf_adds(out,
                "RUN chmod -R a+rX " KR_IMAGE_RUNTIME " && chmod 0755 " KR_IMAGE_RUNTIME "/bin/*");
    if (!in->native)
        kr_buf_adds(out, " && \\\n    python3 -m compileall -q --invalidation-mode "
                         "unchecked-hash " KR_IMAGE_RUNTIME "/python");
    kr_buf_addc(out, '\n');
}

static void add_code_stage(const struct kr_dockerfile *in, const char *from, struct kr_buf *out)
{
    kr_auto_json json_t *chmod = json_array();

    kr_buf_addf(out, "\nFROM %s AS kourou-code\nUSER root\nCOPY . /kourou-code/\n", from);
    kr_buf_adds(out, "RUN rm -rf /kourou-code/.kourou && chmod -R a+rX /kourou-code");
    if (!in->native)
        kr_buf_adds(out, " && \\\n    { python3 -m compileall -q --invalidation-mode checked-hash "
                         "/kourou-code >/dev/null 2>&1 || true; }");
    kr_buf_addc(out, '\n');
    if (json_array_size(in->executables) == 0)
        return;
    kr_buf_adds(out, "WORKDIR /kourou-code\nRUN ");
    append_word(chmod, "chmod");
    append_word(chmod, "a+x");
    append_word(chmod, "--");
    (void)json_array_extend(chmod, (json_t *)(uintptr_t)in->executables);
    kr_dockerfile_exec(out, chmod);
    kr_buf_addc(out, '\n');
}

static void add_default_env(const struct kr_dockerfile *in, struct kr_buf *out)
{
    static const char *const pairs[][2] = {
        {"HOME", KR_IMAGE_HOME},
        {"HF_HOME", KR_IMAGE_HF_HOME},
        {"KOUROU_SERVE_DATA_DIR", KR_IMAGE_DATA},
        {"LOGNAME", "kourou"},
        {"PYTHONUNBUFFERED", "1"},
        {"USER", "kourou"},
    };

    for (size_t i = 0; i < KR_ARRAY_LEN(pairs); i++) {
        if (json_object_get(in->environment, pairs[i][0]) == NULL &&
            json_object_get(in->runtime_environment, pairs[i][0]) == NULL &&
            !(in->native && kr_starts_with(pairs[i][0], "PYTHON")) &&
            !(in->user != NULL && strcmp(pairs[i][1], "kourou") == 0))
            (void)kr_dockerfile_env(out, pairs[i][0], pairs[i][1]);
    }
}

/* The entry point, through env(1) when there are variables that no ENV line can hold. */
static json_t *entrypoint_of(const struct kr_dockerfile *in)
{
    kr_auto_json json_t *merged = json_object();
    json_t *entry;

    kr_json_merge(merged, in->environment != NULL ? in->environment : json_null());
    kr_json_merge(merged, in->runtime_environment != NULL ? in->runtime_environment : json_null());
    entry = env_words(merged);
    (void)json_array_extend(entry, (json_t *)(uintptr_t)in->entrypoint);
    return entry;
}

static void add_end(const struct kr_dockerfile *in, struct kr_buf *out)
{
    kr_auto_json json_t *entry = entrypoint_of(in), *install = NULL;
    char owner[OWNER_SIZE];

    if (!in->as_is && in->reqs != NULL && in->reqs->install_command != NULL) {
        install = json_pack("[s,s,s]", "/bin/sh", "-ec", in->reqs->install_command);
        kr_buf_adds(out, "RUN ");
        kr_dockerfile_exec(out, install);
        kr_buf_addf(out, "\n");
    }
    kr_buf_adds(out, "COPY .kourou/snapshot.json " KR_IMAGE_SNAPSHOT "\n");
    if (in->user != NULL)
        kr_buf_addf(out, "USER %s\n", owner_of(in, owner));
    else
        kr_buf_addf(out, "USER %d\n", KR_IMAGE_UID);
    kr_buf_adds(out, "ENTRYPOINT ");
    kr_dockerfile_exec(out, entry);
    kr_buf_adds(out, "\nCMD []\n");
}

static void add_environment(const json_t *environment, struct kr_buf *out)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)environment, key, value)(void)
        kr_dockerfile_env(out, key, json_string_value(value));
}

static int check_image(const char *image, struct kr_err *err)
{
    for (const char *p = image; *p != '\0'; p++) {
        if ((unsigned char)*p <= 0x20 || *p == '$' || *p == '"' || *p == '\\')
            return kr_fail(err, KR_E_INVALID, "'%s' is not an image reference", image);
    }
    return image[0] != '\0' ? 0 : kr_fail(err, KR_E_INVALID, "the image reference is empty");
}

static int check_user(const char *user, struct kr_err *err)
{
    if (user == NULL)
        return 0;
    for (const char *p = user; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && strchr("._-:", *p) == NULL)
            return kr_fail(err, KR_E_INVALID, "user: '%s' is not a user name or number", user);
    }
    return user[0] != '\0' ? 0 : kr_fail(err, KR_E_INVALID, "user: the name is empty");
}

/* skip_build: the image stays as it is; what the user may write to is copied in with its owner. */
static void add_as_is(const struct kr_dockerfile *in, const char *parent, struct kr_buf *out)
{
    static const char *const writable[] = {KR_IMAGE_HOME, KR_IMAGE_DATA};
    char owner[OWNER_SIZE];

    add_runtime_stage(in, parent, out);
    kr_buf_addf(out, "RUN mkdir -p %s %s\n", KR_IMAGE_HF_HOME, KR_IMAGE_DATA);
    add_code_stage(in, parent, out);
    kr_buf_addf(out, "\nFROM %s\n", parent);
    kr_buf_adds(out, "COPY --from=kourou-runtime " KR_IMAGE_RUNTIME " " KR_IMAGE_RUNTIME "\n");
    for (size_t i = 0; i < KR_ARRAY_LEN(writable); i++)
        kr_buf_addf(out, "COPY --from=kourou-runtime --chown=%s %s %s\n", owner_of(in, owner),
                    writable[i], writable[i]);
}

int kr_dockerfile_source(const struct kr_dockerfile *in, struct kr_buf *out, struct kr_err *err)
{
    kr_auto_free char *parent = NULL;
    char owner[OWNER_SIZE];

    if (check_env(in->environment, err) < 0 || check_env(in->runtime_environment, err) < 0 ||
        check_user(in->user, err) < 0)
        return -(int)err->code;
    if (in->own != NULL) {
        if (kr_dockerfile_own(in->own, in->own_name, out, &parent, err) < 0)
            return -(int)err->code;
        kr_buf_adds(out, "\n# From here on: added by Kourou; a redeploy overwrites this file.\n");
    } else {
        kr_buf_adds(out, "# Made by Kourou; a redeploy overwrites this file.\n");
        parent = kr_strdup(in->base);
        if (check_image(parent, err) < 0)
            return -(int)err->code;
    }
    if (in->as_is) {
        add_as_is(in, parent, out);
    } else {
        kr_buf_addf(out, "FROM %s AS kourou-base\nUSER root\n", parent);
        add_environment(in->environment, out);
        add_user(in, out);
        if (in->reqs != NULL)
            add_apt(in->reqs->apt, out);
        add_requirements(in, out);
        add_runtime_stage(in, "kourou-base", out);
        add_code_stage(in, "kourou-base", out);
        kr_buf_adds(out, "\nFROM kourou-base\n");
        kr_buf_adds(out, "COPY --from=kourou-runtime " KR_IMAGE_RUNTIME " " KR_IMAGE_RUNTIME "\n");
    }
    add_default_env(in, out);
    add_environment(in->runtime_environment, out);
    kr_buf_addf(out,
                "WORKDIR " KR_IMAGE_APP
                "\nCOPY --from=kourou-code --chown=%s /kourou-code/ " KR_IMAGE_APP "/\n",
                owner_of(in, owner));
    add_end(in, out);
    return kr_buf_check(out, err);
}

int kr_dockerfile_image(const struct kr_dockerfile *in, struct kr_buf *out, struct kr_err *err)
{
    kr_auto_json json_t *entry = NULL;

    if (check_image(in->base, err) < 0 || check_env(in->environment, err) < 0 ||
        check_env(in->runtime_environment, err) < 0)
        return -(int)err->code;
    entry = entrypoint_of(in); /* the image's own entry point, and what it may set, ends here */
    kr_buf_addf(out, "# Made by Kourou; a redeploy overwrites this file.\nFROM %s\n", in->base);
    add_environment(in->runtime_environment, out);
    kr_buf_addf(out, "COPY --chown=%d:%d .kourou/snapshot.json " KR_IMAGE_SNAPSHOT "\n",
                KR_IMAGE_UID, KR_IMAGE_UID);
    kr_buf_addf(out, "USER %d\nENTRYPOINT ", KR_IMAGE_UID);
    kr_dockerfile_exec(out, entry);
    kr_buf_adds(out, "\nCMD []\n");
    return kr_buf_check(out, err);
}
