/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a program of any machine: a name, or an error. */
#include "fuzz.h"

#include "pack/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_fd int fd = fuzz_file(data, size);
    kr_auto_free char *path = kr_asprintf("/proc/self/fd/%d", fd);
    const char *machine = NULL;

    if (kr_machine_of(path, &machine, fuzz_err()) == 0)
        FUZZ_CHECK(size >= 20 && memcmp(data, "\177ELF", 4) == 0 && machine[0] != '\0');
    return 0;
}
