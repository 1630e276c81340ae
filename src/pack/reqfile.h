/* SPDX-License-Identifier: Apache-2.0 */
/* Requirement lines as pip reads them. */
#ifndef KR_PACK_REQFILE_H
#define KR_PACK_REQFILE_H

#include "base/buf.h"
#include "base/json.h"
#include "base/view.h"

struct kr_reqs {
    struct kr_buf lines;       /* requirements and options, one a line */
    struct kr_buf constraints; /* what `-c` files said */
    json_t *variables;         /* ["NAME"]: ${NAME} used in a line; sorted, once each */
    bool hashed;               /* some line pins a hash: nothing may be added without one */
    json_t *left_out;          /* ["requirements.txt:3: zenml==0.98"]: the runtime has its own */
    json_t *tools; /* ["git"]: programs that fetch what is required; sorted, once each */
};

void kr_reqs_init(struct kr_reqs *reqs);
void kr_reqs_finish(struct kr_reqs *reqs);
#define kr_auto_reqs kr_auto(kr_reqs_finish)

/* Adds one line. Comments and empty lines are dropped, and so are `kourou` and `zenml` in any
 * spelling: what is installed under these names would stand before the runtime's own. `where` names
 * its origin in errors. Refused: paths on this machine (the requirements are installed before the
 * code is there) and addresses with a user or password (files of a Space are public). `folder`
 * resolves `-r` and `-c`; NULL refuses them. */
int kr_reqs_add(struct kr_reqs *reqs, struct kr_view line, const char *folder, const char *where,
                struct kr_err *err) KR_MUST_USE;

/* Adds a requirements file with all it includes, in any encoding that encoding.h reads; lines
 * continued by a backslash are joined. */
int kr_reqs_add_file(struct kr_reqs *reqs, const char *path, struct kr_err *err) KR_MUST_USE;

/* Whether a line of a text of requirements names this project (case and `-_.` do not matter). */
bool kr_req_text_names(const char *text, const char *project);

/* The project that a line names, also behind `-e` and in `#egg=`; empty when the line is an option
 * or an address without a name. */
struct kr_view kr_req_name(struct kr_view line);

/* Whether two names are of one project (case, and runs of `-_.`, do not matter). */
bool kr_req_same(struct kr_view name, const char *project);

/* Whether a text holds an address with a user name or password that is not a ${NAME}. */
bool kr_has_credentials(struct kr_view text);

#endif
