/* SPDX-License-Identifier: Apache-2.0 */
/* Text files of users, in the encodings that editors and shells write. */
#ifndef KR_BASE_ENCODING_H
#define KR_BASE_ENCODING_H

#include "base/buf.h"

/* Makes the file's bytes UTF-8 without a byte order mark: by that mark (UTF-8, UTF-16, UTF-32),
 * else by a line `coding: latin-1` among the first two, else as they are. What is no text, and what
 * is not UTF-8 and does not say so, is KR_E_INVALID; `what` names the file. */
int kr_text_decode(struct kr_buf *text, const char *what, struct kr_err *err) KR_MUST_USE;

#endif
