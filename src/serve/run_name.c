/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/run_name.h"

#include "base/alloc.h"
#include "serve/client.h"
#include "serve/scan.h"
#include "serve/server.h"
#include "serve/value.h"

#include <string.h>
#include <unistd.h>

enum {
    WRITTEN_MAX = 16 * KR_RUN_NAME_MAX, /* longer ones are refused by the workers */
    PART_MAX = 65536
};

/* NULL when it is no text, or none that can be a name. */
static char *decoded(struct kr_view text)
{
    kr_auto_free char *quoted = NULL, *name = NULL;
    struct kr_view span;
    struct kr_reader r;
    size_t n;

    if (text.p == NULL || text.n == 0 || text.n > WRITTEN_MAX)
        return NULL;
    quoted = kr_asprintf("\"" KR_VIEW_FMT "\"", KR_VIEW_ARG(text));
    kr_reader_init(&r, kr_view_of(quoted));
    if (kr_value_take(&r, &span) != KR_V_STRING || !kr_at_end(&r))
        return NULL;
    name = kr_malloc(span.n + 1);
    n = kr_value_text(span, name);
    name[n] = '\0';
    return strlen(name) == n && n > 0 ? kr_steal(&name) : NULL;
}

void kr_run_name_forget(struct kr_client *client)
{
    free(client->run_name);
    client->run_name = NULL;
}

void kr_run_name_given(struct kr_client *client, struct kr_view text)
{
    kr_run_name_forget(client);
    client->run_name = decoded(text);
}

/* The text that begins at p, up to its closing quote. */
static void take(struct kr_client *client, const char *p, const char *end)
{
    client->run_name = decoded((struct kr_view){.p = p, .n = (size_t)(kr_scan_text(p, end) - p)});
}

/* Only a worker knows the id beforehand, so nothing that a client sent looks like this. */
static void find_behind_id(struct kr_client *client, struct kr_view text)
{
    char lead[80];
    size_t n = (size_t)snprintf(lead, sizeof(lead), "\"run_id\":\"%s\",\"run_name\":\"",
                                client->call.run_id);
    const char *p = client->run_name == NULL && text.n > 0 ? memmem(text.p, text.n, lead, n) : NULL;

    if (p != NULL)
        take(client, p + n, text.p + text.n);
}

/* Of a large answer: the name stands between the outputs and the parameters, and most often one of
 * the two is small. */
static void find_in_file(struct kr_client *client, const struct kr_answer *answer)
{
    kr_auto_free char *part = kr_malloc(PART_MAX);
    uint64_t from[] = {0, answer->fd_size > PART_MAX ? answer->fd_size - PART_MAX : 0};

    for (size_t i = 0; i < KR_ARRAY_LEN(from) && client->run_name == NULL; i++) {
        ssize_t n = pread(answer->fd, part, PART_MAX, (off_t)from[i]);

        if (n > 0)
            find_behind_id(client, (struct kr_view){.p = part, .n = (size_t)n});
    }
}

void kr_run_name_answered(struct kr_client *client, const struct kr_answer *answer)
{
    static const char lead[] = "\"run_name\":\"";

    if (answer->fd >= 0 && answer->head.p == NULL) {
        find_in_file(client, answer);
        return;
    }
    if (!answer->outputs) {
        find_behind_id(client, answer->body);
        return;
    }
    if (client->run_name == NULL && client->head.n >= client->tail_at + sizeof(lead))
        take(client, client->head.p + client->tail_at + sizeof(lead) - 1,
             client->head.p + client->head.n);
}

void kr_run_name_streamed(struct kr_client *client, struct kr_view event)
{
    find_behind_id(client, event);
}

char *kr_run_name(const struct kr_client *client)
{
    const struct kr_server *srv = kr_server_of(&client->conn);
    kr_auto_free char *prefix = NULL;

    if (client->run_name != NULL)
        return kr_strdup(client->run_name);
    if (srv->arguments.run_prefix != NULL)
        prefix = decoded(kr_view_of(srv->arguments.run_prefix));
    return prefix != NULL ? kr_asprintf("%s%.8s", prefix, client->call.run_id)
                          : kr_asprintf("%s-%.8s", srv->cfg.pipeline, client->call.run_id);
}
