/* SPDX-License-Identifier: Apache-2.0 */
/* The matcher is that of Aho and Corasick, with the edges of a node in a list: nearly all nodes
 * have one. */
#include "base/redact.h"

#include "base/alloc.h"
#include "base/plausible.h"
#include "base/redact_forms.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What is left of a value at the end of a text that was cut. */
enum { LEAST_LEFT = 6, SURE_LEFT = 16 };

enum { SLICE = 4096 };

struct node {
    uint32_t child, sibling; /* 0: none */
    uint32_t fail;           /* node of the longest proper suffix that begins some pattern */
    uint16_t depth;
    uint16_t found; /* length of the longest pattern that ends here; 0: none */
    uint16_t least; /* length of the shortest pattern that goes through here */
    unsigned char byte;
};

static struct {
    pthread_mutex_t lock;
    char **values;
    size_t count;
    struct node *nodes; /* [0] is the root */
    size_t node_n, node_cap;
    uint32_t first[256]; /* edges of the root */
    bool linked;         /* the fail links are right */
    uint64_t edition;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Whether there is anything to look for: asked without the lock. */
static atomic_bool armed;

/* -- patterns ---------------------------------------------------------------------------------- */

static uint32_t child_of(uint32_t at, unsigned char byte)
{
    uint32_t next;

    if (at == 0)
        return known.first[byte];
    next = known.nodes[at].child;
    while (next != 0 && known.nodes[next].byte != byte)
        next = known.nodes[next].sibling;
    return next;
}

static uint32_t new_node(uint32_t parent, unsigned char byte)
{
    uint32_t made;

    if (known.node_n + 1 >= known.node_cap) {
        size_t cap = known.node_cap == 0 ? 256 : known.node_cap * 2;
        struct node *grown = kr_calloc(cap, sizeof(*grown));

        if (known.node_n > 0) {
            memcpy(grown, known.nodes, known.node_n * sizeof(*grown));
            explicit_bzero(known.nodes, known.node_n * sizeof(*grown));
        } else {
            known.node_n = 1;
        }
        free(known.nodes);
        known.nodes = grown;
        known.node_cap = cap;
    }
    made = (uint32_t)known.node_n++;
    known.nodes[made] = (struct node){.byte = byte, .least = UINT16_MAX};
    known.nodes[made].depth = (uint16_t)(known.nodes[parent].depth + 1);
    if (parent == 0) {
        known.first[byte] = made;
    } else {
        known.nodes[made].sibling = known.nodes[parent].child;
        known.nodes[parent].child = made;
    }
    return made;
}

static void add_pattern(const char *bytes, size_t n)
{
    uint32_t at = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t next = child_of(at, (unsigned char)bytes[i]);

        at = next != 0 ? next : new_node(at, (unsigned char)bytes[i]);
        if (n < known.nodes[at].least)
            known.nodes[at].least = (uint16_t)n;
    }
    known.nodes[at].found = (uint16_t)n;
}

/* Blocks that follow one another, and the last bytes. */
static void add_form(void *data, const char *form, size_t n)
{
    (void)data;
    if (n <= KR_REDACT_BLOCK) {
        add_pattern(form, n);
        return;
    }
    for (size_t at = 0; at + KR_REDACT_BLOCK <= n; at += KR_REDACT_BLOCK)
        add_pattern(form + at, KR_REDACT_BLOCK);
    add_pattern(form + n - KR_REDACT_BLOCK, KR_REDACT_BLOCK);
}

static uint32_t step(uint32_t at, unsigned char byte)
{
    uint32_t next = child_of(at, byte);

    while (next == 0 && at != 0) {
        at = known.nodes[at].fail;
        next = child_of(at, byte);
    }
    return next;
}

/* Sets the link of node and puts it into the queue; parent's are set. */
static void link_node(uint32_t parent, uint32_t node, uint32_t *queue, size_t *end)
{
    struct node *it = &known.nodes[node];

    it->fail = parent == 0 ? 0 : step(known.nodes[parent].fail, it->byte);
    if (it->found == 0)
        it->found = known.nodes[it->fail].found;
    queue[(*end)++] = node;
}

static void link_nodes(void)
{
    uint32_t *queue = kr_reallocarray(NULL, known.node_n + 1, sizeof(*queue));
    size_t end = 0;

    for (unsigned byte = 0; byte < 256; byte++) {
        if (known.first[byte] != 0)
            link_node(0, known.first[byte], queue, &end);
    }
    for (size_t i = 0; i < end; i++) {
        for (uint32_t c = known.nodes[queue[i]].child; c != 0; c = known.nodes[c].sibling)
            link_node(queue[i], c, queue, &end);
    }
    free(queue);
    known.linked = true;
}

/* -- values ------------------------------------------------------------------------------------ */

void kr_redact_add(const char *secret)
{
    if (secret == NULL || kr_plausible(secret, strlen(secret)) == KR_PLAUSIBLE_NO)
        return;
    (void)pthread_mutex_lock(&known.lock);
    for (size_t i = 0; i < known.count; i++) {
        if (strcmp(known.values[i], secret) == 0) {
            (void)pthread_mutex_unlock(&known.lock);
            return;
        }
    }
    known.values = kr_reallocarray(known.values, known.count + 1, sizeof(char *));
    known.values[known.count++] = kr_strdup(secret);
    known.linked = false;
    known.edition++;
    atomic_store(&armed, true);
    (void)pthread_mutex_unlock(&known.lock);
}

static void forget_nodes(void)
{
    if (known.nodes != NULL)
        explicit_bzero(known.nodes, known.node_n * sizeof(*known.nodes));
    free(known.nodes);
    known.nodes = NULL;
    known.node_n = known.node_cap = 0;
    memset(known.first, 0, sizeof(known.first));
}

/* `found` takes part in the links, so the tree is made anew when a value came. */
static void make_ready(void)
{
    if (known.linked)
        return;
    forget_nodes();
    for (size_t i = 0; i < known.count; i++)
        kr_redact_forms(known.values[i], add_form, NULL);
    link_nodes();
}

void kr_redact_each(void (*each)(void *data, const char *value, size_t n), void *data)
{
    (void)pthread_mutex_lock(&known.lock);
    for (size_t i = 0; i < known.count; i++)
        each(data, known.values[i], strlen(known.values[i]));
    (void)pthread_mutex_unlock(&known.lock);
}

void kr_redact_clear(void)
{
    (void)pthread_mutex_lock(&known.lock);
    for (size_t i = 0; i < known.count; i++) {
        explicit_bzero(known.values[i], strlen(known.values[i]));
        free(known.values[i]);
    }
    free(known.values);
    known.values = NULL;
    known.count = 0;
    forget_nodes();
    known.linked = false;
    known.edition++;
    atomic_store(&armed, false);
    (void)pthread_mutex_unlock(&known.lock);
}

/* -- texts ------------------------------------------------------------------------------------- */

/* Goes over text[from..n) in the state that text[..from) left behind; finds may begin there. */
static uint32_t cover(char *text, size_t from, size_t n, uint32_t at)
{
    size_t begin = 0, end = 0; /* to be covered, not covered yet */

    for (size_t i = from; i < n; i++) {
        size_t found;

        at = step(at, (unsigned char)text[i]);
        found = at != 0 ? known.nodes[at].found : 0;
        if (found == 0)
            continue;
        if (i + 1 - found > end) {
            memset(text + begin, '*', end - begin);
            begin = i + 1 - found;
        } else if (i + 1 - found < begin) {
            begin = i + 1 - found;
        }
        end = i + 1;
    }
    memset(text + begin, '*', end - begin);
    return at;
}

/* The end of a text that was cut may be most of a value. */
static void cover_end(char *text, size_t n, uint32_t at)
{
    for (; at != 0; at = known.nodes[at].fail) {
        size_t depth = known.nodes[at].depth;

        if (depth >= LEAST_LEFT && (depth >= SURE_LEFT || depth * 2 >= known.nodes[at].least)) {
            memset(text + n - depth, '*', depth);
            return;
        }
    }
}

static void cover_text(char *text, size_t n, bool cut)
{
    uint32_t at;

    if (n == 0 || !atomic_load(&armed))
        return;
    (void)pthread_mutex_lock(&known.lock);
    make_ready();
    at = cover(text, 0, n, 0);
    if (cut)
        cover_end(text, n, at);
    (void)pthread_mutex_unlock(&known.lock);
}

void kr_redact(char *text, size_t n)
{
    cover_text(text, n, false);
}

void kr_redact_cut(char *text, size_t n)
{
    cover_text(text, n, true);
}

/* -- streams ----------------------------------------------------------------------------------- */

void kr_redactor_init(struct kr_redactor *r)
{
    *r = (struct kr_redactor){.at = 0};
    kr_buf_init(&r->held, SLICE + KR_REDACT_BLOCK);
}

/* The values have changed: the held bytes are looked at again. */
static void renew(struct kr_redactor *r)
{
    make_ready();
    if (r->edition == known.edition)
        return;
    r->edition = known.edition;
    r->at = r->held.n > 0 ? cover(r->held.p, 0, r->held.n, 0) : 0;
}

static void feed_slice(struct kr_redactor *r, const char *bytes, size_t n, struct kr_buf *out)
{
    size_t before = r->held.n, sure;

    kr_buf_add(&r->held, bytes, n);
    r->at = cover(r->held.p, before, r->held.n, r->at);
    while (r->at != 0 && known.nodes[r->at].child == 0)
        r->at = known.nodes[r->at].fail; /* complete: nothing that follows belongs to it */
    sure = r->held.n - (r->at != 0 ? known.nodes[r->at].depth : 0);
    kr_buf_add(out, r->held.p, sure);
    kr_buf_drop(&r->held, sure);
}

void kr_redactor_feed(struct kr_redactor *r, const char *bytes, size_t n, struct kr_buf *out)
{
    if (n == 0)
        return;
    if (r->held.n == 0 && !atomic_load(&armed)) {
        kr_buf_add(out, bytes, n);
        return;
    }
    (void)pthread_mutex_lock(&known.lock);
    renew(r);
    for (size_t at = 0; at < n; at += SLICE)
        feed_slice(r, bytes + at, n - at < SLICE ? n - at : SLICE, out);
    (void)pthread_mutex_unlock(&known.lock);
}

void kr_redactor_end(struct kr_redactor *r, struct kr_buf *out)
{
    if (r->held.n > 0) {
        (void)pthread_mutex_lock(&known.lock);
        renew(r);
        cover_end(r->held.p, r->held.n, r->at);
        (void)pthread_mutex_unlock(&known.lock);
        kr_buf_add(out, r->held.p, r->held.n);
    }
    kr_buf_reset(&r->held);
    r->at = 0;
}

void kr_redactor_finish(struct kr_redactor *r)
{
    if (r->held.p != NULL)
        explicit_bzero(r->held.p, r->held.n);
    kr_buf_finish(&r->held);
    r->at = 0;
}
