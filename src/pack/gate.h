/* SPDX-License-Identifier: Apache-2.0 */
/* The one gate for what leaves the machine: source bundles, what is generated, image layers, build
 * contexts and commits pass here. It looks for the secret values that this process knows
 * (base/redact.h), for the store's encryption key, and for what looks like a live credential; it
 * says what that means for where the files go; and it holds fast what was looked at, so that
 * nothing else is sent. docs/threat-model.md lists the ways out, with a test for each. */
#ifndef KR_PACK_GATE_H
#define KR_PACK_GATE_H

#include "base/json.h"
#include "pack/sift.h"

struct kr_gate;

struct kr_gate_policy {
    const char *root;      /* source folder; its kourou.toml is read. NULL: there is none */
    const char *cache_dir; /* or NULL */
    const char *readers;   /* "the Space is public": strangers can read what is sent; or NULL */
    const json_t *allow;   /* paths below root whose look-alikes are meant to be sent, or NULL */
};

/* The values are taken as they are registered now. */
int kr_gate_open(const struct kr_gate_policy *policy, struct kr_gate **out,
                 struct kr_err *err) KR_MUST_USE;
void kr_gate_close(struct kr_gate *gate);
KR_DEFINE_AUTO(struct kr_gate *, kr_gate_close);
#define kr_auto_gate kr_auto(kr_gate_close_p)

/* How files are read for the gate; NULL: nothing is looked for. */
struct kr_sift kr_gate_sift(struct kr_gate *gate, bool says);

/* What was found in a file that is sent as path. */
void kr_gate_found(struct kr_gate *gate, const char *path, const struct kr_hits *hits);

/* A text that is sent as path, or stands elsewhere in what is sent. A known value in it is an error
 * at once. */
int kr_gate_text(struct kr_gate *gate, const char *path, const char *text, size_t n,
                 struct kr_err *err) KR_MUST_USE;

/* The same for each text in a document (not for its keys). */
int kr_gate_values(struct kr_gate *gate, const char *path, const json_t *document,
                   struct kr_err *err) KR_MUST_USE;

/* A text that was made here from the documents. What stands in it, and in none of them, does not
 * come from the user: a value that looks the same is not one of them. */
int kr_gate_made(struct kr_gate *gate, const char *path, const char *text,
                 const json_t *const *documents, size_t n, struct kr_err *err) KR_MUST_USE;
/* The verdict on all that was found: known values stop (KR_E_INVALID, with file and line);
 * look-alikes stop where strangers read, else they are a warning. Once judged they are forgotten.
 */
int kr_gate_judge(struct kr_gate *gate, json_t *warnings, struct kr_err *err) KR_MUST_USE;

/* Holds the bytes of a file of this machine fast. One that has changed since it was collected is
 * looked at again, and goes as it is now. */
int kr_gate_hold(struct kr_gate *gate, struct kr_file *file, struct kr_err *err) KR_MUST_USE;
int kr_gate_hold_all(struct kr_gate *gate, struct kr_files *files, struct kr_err *err) KR_MUST_USE;

/* Paths as a user gives them (from the current folder or from root), as paths below root: array.
 * One that is no file there is KR_E_USAGE. */
int kr_gate_allow(const char *root, const json_t *given, json_t **out,
                  struct kr_err *err) KR_MUST_USE;

#endif
