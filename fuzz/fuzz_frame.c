/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the worker protocol: what was taken is written back to the same bytes. */
#include "fuzz.h"

#include "serve/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct kr_frame frame;
    size_t need;
    long n;

    while ((n = kr_frame_take(p, size, &frame, &need)) > 0) {
        kr_auto_buf struct kr_buf again = KR_BUF_INIT(KR_FRAME_MAX + 64);

        FUZZ_CHECK((size_t)n == need && need <= size && frame.payload + frame.size == p + n);
        kr_frame_put(&again, frame.type, frame.flags, frame.status, frame.id, frame.size);
        kr_buf_add(&again, frame.payload, frame.size);
        FUZZ_CHECK(again.n == (size_t)n && memcmp(again.p, p, again.n) == 0);
        p += n;
        size -= (size_t)n;
    }
    FUZZ_CHECK(n < 0 || need > size);
    return 0;
}
