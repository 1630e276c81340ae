/* SPDX-License-Identifier: Apache-2.0 */
/* Requirement lines, one by one and as a file: lines that were accepted are accepted again and name
 * no secret. */
#include "fuzz.h"

#include "base/path.h"
#include "pack/reqfile.h"

/* Behind a comment sign anything may stand. */
static bool accepted_credentials(struct kr_view line)
{
    return memchr(line.p, '#', line.n) == NULL && kr_has_credentials(line);
}

static void read_lines(struct kr_reqs *reqs, const char *text, size_t n)
{
    struct kr_view rest = {.p = text, .n = n}, line;
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        if (kr_reqs_add(reqs, line, NULL, "input", fuzz_err()) == 0 && line.n > 0)
            FUZZ_CHECK(!accepted_credentials(line));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *text = fuzz_rest(&in);
    kr_auto_reqs struct kr_reqs reqs, again, whole;
    kr_auto_fd int fd = fuzz_file(data, size);
    kr_auto_free char *path = kr_asprintf("/proc/self/fd/%d", fd);

    kr_reqs_init(&reqs);
    kr_reqs_init(&again);
    kr_reqs_init(&whole);
    read_lines(&reqs, text, size);
    read_lines(&again, kr_buf_str(&reqs.lines), reqs.lines.n);
    FUZZ_CHECK(reqs.lines.n == again.lines.n && reqs.hashed == again.hashed);
    FUZZ_CHECK(memcmp(kr_buf_str(&reqs.lines), kr_buf_str(&again.lines), reqs.lines.n) == 0);
    (void)kr_req_text_names(kr_buf_str(&reqs.lines), "kourou");
    if (memmem(data, size, "-r", 2) == NULL && memmem(data, size, "-c", 2) == NULL)
        fuzz_any(kr_reqs_add_file(&whole, path, fuzz_err()));
    return 0;
}
