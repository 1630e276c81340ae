/* SPDX-License-Identifier: Apache-2.0 */
/* Which privileges a container gets, by what run_args ask for. */
#include "deployers/docker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define NNP  "--security-opt=no-new-privileges "
#define CAPS "--cap-drop=ALL "

static void gives(const char *run_args, const char *wanted)
{
    struct kr_words words = {NULL, 0};
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *args = NULL;
    char all[256] = "";

    assert_int_equal(kr_json_parse(run_args, strlen(run_args), "test", &args, &err), 0);
    kr_docker_privileges(args, &words);
    for (size_t i = 0; i < words.n; i++)
        (void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s ", words.v[i]);
    kr_words_finish(&words);
    assert_string_equal(all, wanted);
}

static void nothing_asked_for(void **state)
{
    (void)state;
    gives("{}", NNP CAPS);
    gives("{\"network\":\"host\",\"mem_limit\":\"1g\",\"read_only\":true}", NNP CAPS);
    gives("{\"privileged\":false,\"cap_add\":null,\"security_opt\":[\"seccomp=unconfined\"]}",
          NNP CAPS);
}

static void asked_for(void **state)
{
    (void)state;
    gives("{\"privileged\":true}", "");
    gives("{\"cap_add\":[\"NET_ADMIN\"]}", "");
    gives("{\"cap-add\":\"NET_ADMIN\"}", "");
    gives("{\"cap_drop\":[\"MKNOD\"]}", NNP);
    gives("{\"user\":\"root\"}", NNP);
    gives("{\"security_opt\":[\"seccomp=unconfined\",\"no-new-privileges=false\"]}", CAPS);
    gives("{\"security-opt\":\"no-new-privileges:true\"}", CAPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked_for),
        cmocka_unit_test(asked_for),
    };

    return cmocka_run_group_tests_name("privileges of containers", tests, NULL, NULL);
}
