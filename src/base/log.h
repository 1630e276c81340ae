/* SPDX-License-Identifier: Apache-2.0 */
/* Log records of long-running parts and of `-v`: one line each, redacted, to a descriptor. */
#ifndef KR_BASE_LOG_H
#define KR_BASE_LOG_H

#include "base/attrs.h"

#include <stdbool.h>

enum kr_log_level { KR_LOG_DEBUG, KR_LOG_INFO, KR_LOG_WARN, KR_LOG_ERROR, KR_LOG_OFF };

void kr_log_setup(int fd, enum kr_log_level least, bool json);
bool kr_log_wanted(enum kr_log_level level);

/* part names the folder or subsystem ("hub", "worker"). */
void kr_log(enum kr_log_level level, const char *part, const char *fmt, ...) KR_PRINTF(3, 4);

#endif
