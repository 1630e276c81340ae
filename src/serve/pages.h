/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in pages as text; made from pages/ at build time. */
#ifndef KR_SERVE_PAGES_H
#define KR_SERVE_PAGES_H

extern const char kr_page_playground[];
extern const char kr_page_docs[];

#endif
