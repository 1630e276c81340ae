/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a registered value can be a secret at all. A short value, a common word, a number or an
 * address stands in texts that have nothing to do with it: to blank it out there, or to take it for
 * a leak, helps nobody. One verdict for masking and for the search of what leaves the machine. */
#ifndef KR_BASE_PLAUSIBLE_H
#define KR_BASE_PLAUSIBLE_H

#include <stddef.h>

enum kr_plausible {
    KR_PLAUSIBLE_NO,     /* says nothing: "python", "0.0.0.0", "8080", "true", "us-east" */
    KR_PLAUSIBLE_WEAK,   /* may be a password or a word: masked; a leak only where it is a value of
                            its own ('password = "swordfish"') */
    KR_PLAUSIBLE_STRONG, /* nothing but a secret looks like this */
};

enum kr_plausible kr_plausible(const char *value, size_t n);

#endif
