/* SPDX-License-Identifier: Apache-2.0 */
/* What deployers share: waiting, addresses of endpoints, fingerprints, processes, probes. */
#include "deployers/lifecycle.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/proc.h"
#include "deployers/deployer_impl.h"
#include "deployers/probe.h"
#include "deployers/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

static json_t *parse(const char *text)
{
    json_t *value = NULL;

    assert_int_equal(kr_json_parse(text, strlen(text), "test", &value, NULL), 0);
    return value;
}

/* -- waiting ----------------------------------------------------------------------------------- */

struct script {
    int looks, done_after, fail_after;
    bool cancel;
    int64_t longest;
};

static int look(void *data, int64_t *next_ms, struct kr_err *err)
{
    struct script *s = data;

    s->looks++;
    s->longest = *next_ms > s->longest ? *next_ms : s->longest;
    if (s->fail_after != 0 && s->looks >= s->fail_after)
        return kr_fail(err, KR_E_REMOTE, "it broke");
    return s->looks >= s->done_after ? KR_WAIT_DONE : KR_WAIT_MORE;
}

static bool cancelled(void *data)
{
    return ((struct script *)data)->cancel;
}

static void waiting(void **state)
{
    struct script s = {.done_after = 5};
    struct kr_deployer_env env = {.data = &s, .cancelled = cancelled};
    struct kr_wait wait = {.timeout_ms = 60000, .first_ms = 1, .most_ms = 4, .what = "the thing"};
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_wait_for(&env, &wait, look, &s, &err), 0);
    assert_int_equal(s.looks, 5);
    assert_int_equal(s.longest, 4);

    s = (struct script){.done_after = 1000000};
    wait.timeout_ms = 30;
    assert_int_equal(kr_wait_for(&env, &wait, look, &s, &err), -(int)KR_E_TIMEOUT);
    assert_non_null(strstr(err.msg, "the thing does not answer"));
    kr_err_clear(&err);

    wait.timeout_ms = 60000;
    s = (struct script){.done_after = 1000000, .fail_after = 3};
    assert_int_equal(kr_wait_for(&env, &wait, look, &s, &err), -(int)KR_E_REMOTE);
    assert_string_equal(err.msg, "it broke");
    kr_err_clear(&err);

    s = (struct script){.done_after = 1000000, .cancel = true};
    assert_int_equal(kr_wait_for(&env, &wait, look, &s, &err), -(int)KR_E_CANCELLED);
    assert_int_equal(s.looks, 1);
}

/* -- addresses --------------------------------------------------------------------------------- */

static void endpoint_is(const char *deployment, const char *wanted)
{
    kr_auto_free char *whole = kr_asprintf("{\"settings\":{\"deployment\":%s}}", deployment);
    kr_auto_json json_t *snapshot = parse(whole);
    kr_auto_free char *url =
        kr_endpoint_url("http://127.0.0.1:1/", snapshot, "health_url_path", "/health");

    assert_string_equal(url, wanted);
}

static void endpoints(void **state)
{
    (void)state;
    endpoint_is("{}", "http://127.0.0.1:1/health");
    endpoint_is("{\"health_url_path\":\"/alive/\"}", "http://127.0.0.1:1/alive");
    endpoint_is("{\"health_url_path\":\"/\"}", "http://127.0.0.1:1");
    endpoint_is("{\"root_url_path\":\"/r/\",\"api_url_path\":\"api\"}",
                "http://127.0.0.1:1/r/api/health");
    {
        kr_auto_json json_t *root =
            parse("{\"settings\":{\"deployment\":{\"health_url_path\":\"/\"}}}");
        kr_auto_free char *path = kr_endpoint_path(root, "health_url_path", "/health");

        assert_string_equal(path, "/");
    }
    {
        kr_auto_json json_t *all = parse("{}");
        kr_auto_json json_t *some = parse("{\"settings\":{\"deployment\":"
                                          "{\"include_default_endpoints\":[\"invoke\"]}}}");

        assert_true(kr_endpoint_on(all, "health"));
        assert_true(kr_endpoint_on(some, "invoke"));
        assert_false(kr_endpoint_on(some, "health"));
    }
}

/* -- fingerprints ------------------------------------------------------------------------------ */

static void secret_names(void **state)
{
    kr_auto_json json_t *none = json_object(), *two = json_pack("{s:s, s:s}", "b", "1", "a", "2");
    kr_auto_free char *names = kr_secret_names(two);

    (void)state;
    assert_null(kr_secret_names(NULL));
    assert_null(kr_secret_names(none));
    assert_string_equal(names, "b,a");
}

static void fingerprints(void **state)
{
    kr_auto_json json_t *one = parse("{\"a\":1,\"b\":2}"), *same = parse("{\"b\":2,\"a\":1}");
    kr_auto_json json_t *other = parse("{\"a\":1,\"b\":3}");
    struct kr_deployment what = {.name = "app", .snapshot = one, .settings = one};
    char first[KR_SHA256_HEX], second[KR_SHA256_HEX];

    (void)state;
    kr_deployment_fingerprint(&what, first);
    what.snapshot = same;
    what.snapshot_id = "an id says nothing about the app";
    kr_deployment_fingerprint(&what, second);
    assert_string_equal(first, second);
    what.secrets = other;
    kr_deployment_fingerprint(&what, second);
    assert_string_not_equal(first, second);
    what.secrets = NULL;
    what.auth_key = "key";
    kr_deployment_fingerprint(&what, second);
    assert_string_not_equal(first, second);
    what.auth_key = NULL;
    what.settings = other;
    kr_deployment_fingerprint(&what, second);
    assert_string_not_equal(first, second);
}

/* -- processes --------------------------------------------------------------------------------- */

/* The shell has no children, which would for a moment look like itself: it reads from the pipe
 * `in`, which nobody writes to. */
static pid_t start(const char *script, const char *mark, int in, int out)
{
    char *argv[] = {(char *)(uintptr_t) "sh",  (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t)script, (char *)(uintptr_t) "--mark",
                    (char *)(uintptr_t)mark,   NULL};
    struct kr_spawn what = {.argv = argv, .fds = {in, out, -1}, .new_session = true};
    struct kr_err err = KR_ERR_INIT;
    pid_t pid;

    assert_int_equal(kr_proc_spawn(&what, &pid, &err), 0);
    return pid;
}

static void processes_end(void **state)
{
    int in[2], out[2];
    struct kr_process polite, stubborn, reused;
    char byte;

    (void)state;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    polite = reused = kr_process_now(start("read x", "one", in[0], -1));
    stubborn = kr_process_now(start("trap '' TERM; echo; read x", "two", in[0], out[1]));
    assert_true(kr_process_alive(polite));
    reused.start++;
    assert_false(kr_process_alive(reused));
    assert_true(kr_process_stop(reused, 1000)); /* is none: nothing is touched */
    assert_true(kr_process_alive(polite));
    assert_true(kr_process_stop(polite, 60000));
    assert_false(kr_process_alive(polite));
    assert_int_equal(read(out[0], &byte, 1), 1); /* the shell has set its trap */
    assert_true(kr_process_stop(stubborn, 100));
    assert_false(kr_process_alive(stubborn));
    for (int i = 0; i < 2; i++) {
        (void)close(in[i]);
        (void)close(out[i]);
    }
}

static void zombies_do_not_run(void **state)
{
    int ends[2];
    pid_t pid;
    char byte;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0)
        _exit(0);
    (void)close(ends[1]);
    (void)!read(ends[0], &byte, 1); /* the child's copy of the end is closed: it has ended */
    (void)close(ends[0]);
    for (int i = 0; i < 15000 && kr_process_now(pid).pid != 0; i++)
        kr_sleep_ms(2);
    assert_int_equal(kr_process_now(pid).pid, 0);
    (void)waitpid(pid, NULL, 0);
}

static void processes_are_found(void **state)
{
    struct kr_process one, found[4];
    kr_auto_free char *option = NULL;
    int in[2];

    (void)state;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    one = kr_process_now(start("read x", "kourou-test-a", in[0], -1));
    for (int i = 0; i < 15000 && kr_process_find("sh", "--mark", "kourou-test-a", found, 4) == 0;
         i++)
        kr_sleep_ms(2);
    assert_int_equal(kr_process_find("sh", "--mark", "kourou-test-a", found, 4), 1);
    assert_int_equal(found[0].pid, one.pid);
    assert_int_equal(kr_process_find("sh", "--mark", "kourou-test-b", found, 4), 0);
    assert_int_equal(kr_process_find("bash", "--mark", "kourou-test-a", found, 4), 0);
    option = kr_process_option(one, "--mark");
    assert_string_equal(option, "kourou-test-a");
    assert_true(kr_process_stop(one, 60000));
    (void)close(in[0]);
    (void)close(in[1]);
}

/* -- probes ------------------------------------------------------------------------------------ */

static int listen_somewhere(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void answer_once(int listener, const char *answer)
{
    char request[1024];
    int fd = accept(listener, NULL, NULL);

    (void)!read(fd, request, sizeof(request));
    (void)!write(fd, answer, strlen(answer));
    (void)close(fd);
    _exit(0);
}

static void probe_with(const char *answer, struct kr_probe *probe)
{
    int port, listener = listen_somewhere(&port);
    pid_t pid = fork();

    if (pid == 0)
        answer_once(listener, answer);
    *probe = (struct kr_probe){.address = "127.0.0.1", .port = port, .path = "/health"};
    kr_probe_get(probe, 60000);
    (void)close(listener);
    (void)waitpid(pid, NULL, 0);
}

static void probes(void **state)
{
    struct kr_probe probe;
    int port, listener;

    (void)state;
    probe_with("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbody", &probe);
    assert_int_equal(probe.status, 503);
    assert_string_equal(probe.body, "body");
    probe_with("HTTP/1.1 200 OK\r\n\r\n", &probe);
    assert_int_equal(probe.status, 200);
    assert_int_equal(probe.n, 0);
    probe_with("nonsense", &probe);
    assert_int_equal(probe.status, 0);
    assert_int_equal(probe.sys_errno, EPROTO);

    listener = listen_somewhere(&port); /* takes connections and says nothing */
    probe = (struct kr_probe){.address = "127.0.0.1", .port = port, .path = "/"};
    kr_probe_get(&probe, 50);
    assert_int_equal(probe.sys_errno, ETIMEDOUT);
    assert_int_equal(kr_port_try("127.0.0.1", port), EADDRINUSE);
    {
        kr_auto_free char *holder = kr_process_of_port(port);
        kr_auto_free char *start_of = kr_asprintf("pid %d (", (int)getpid());

        assert_non_null(holder);
        assert_memory_equal(holder, start_of, strlen(start_of));
    }
    (void)close(listener);
    kr_probe_get(&probe, 1000);
    assert_int_equal(probe.sys_errno, ECONNREFUSED);
    assert_int_equal(kr_port_try("127.0.0.1", port), 0);
    assert_int_equal(kr_port_try("not an address", port), EINVAL);
}

/* -- table ------------------------------------------------------------------------------------- */

static void table(void **state)
{
    static const struct kr_deployer bare = {.flavor = "bare"};
    struct kr_deployer_env env = {.data_dir = "/nonexistent"};
    struct kr_deployment what = {.name = "app", .auth_key = "the key"};
    kr_auto_status struct kr_deployment_status status = {.state = KR_STATE_RUNNING};
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *headers = NULL;
    bool changed;

    (void)state;
    assert_ptr_equal(kr_deployer_find("local"), &kr_deployer_local);
    assert_null(kr_deployer_find("nothing of that name"));
    assert_null(kr_deployer_find(NULL));
    assert_int_equal(kr_deployer_validate(&bare, &env, &what, &err), 0);
    assert_int_equal(kr_deployer_provision(&bare, &env, &what, 1, &status, &changed, &err),
                     -(int)KR_E_INVALID);
    assert_string_equal(err.msg, "the deployer flavor 'bare' cannot deploy");
    kr_err_clear(&err);
    assert_int_equal(kr_deployer_status(NULL, &env, &what, &status, &err), -(int)KR_E_INVALID);
    kr_err_clear(&err);
    assert_int_equal(kr_deployer_headers(&bare, &env, &what, &headers, &err), 0);
    assert_string_equal(kr_json_str(headers, "Authorization", ""), "Bearer the key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting),
        cmocka_unit_test(endpoints),
        cmocka_unit_test(secret_names),
        cmocka_unit_test(fingerprints),
        cmocka_unit_test(processes_end),
        cmocka_unit_test(zombies_do_not_run),
        cmocka_unit_test(processes_are_found),
        cmocka_unit_test(probes),
        cmocka_unit_test(table),
    };

    return cmocka_run_group_tests_name("deployers: life cycle", tests, NULL, NULL);
}
