/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/machine.h"

#include "base/alloc.h"
#include "base/path.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const struct {
    unsigned number;
    unsigned char class, data;
    const char *name;
} machines[] = {
    {EM_X86_64, ELFCLASS64, ELFDATA2LSB, KR_MACHINE_DEFAULT},
    {EM_AARCH64, ELFCLASS64, ELFDATA2LSB, "arm64"},
    {EM_ARM, ELFCLASS32, ELFDATA2LSB, "arm"},
    {EM_386, ELFCLASS32, ELFDATA2LSB, "386"},
    {EM_RISCV, ELFCLASS64, ELFDATA2LSB, "riscv64"},
    {EM_PPC64, ELFCLASS64, ELFDATA2LSB, "ppc64le"},
    {EM_S390, ELFCLASS64, ELFDATA2MSB, "s390x"},
};

int kr_machine_of(const char *path, const char **machine, struct kr_err *err)
{
    kr_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char head[20];
    ssize_t n = fd >= 0 ? pread(fd, head, sizeof(head), 0) : -1;
    unsigned number;

    *machine = "another processor";
    if (n < 0)
        return kr_fail_errno(err, errno, "%s", path);
    if (n < (ssize_t)sizeof(head) || memcmp(head, ELFMAG, SELFMAG) != 0 ||
        (head[EI_DATA] != ELFDATA2LSB && head[EI_DATA] != ELFDATA2MSB))
        return kr_fail(err, KR_E_INVALID, "%s is not a program or library of Linux", path);
    number = head[EI_DATA] == ELFDATA2LSB ? (unsigned)head[18] | (unsigned)head[19] << 8
                                          : (unsigned)head[19] | (unsigned)head[18] << 8;
    for (size_t i = 0; i < KR_ARRAY_LEN(machines); i++) {
        if (number == machines[i].number && head[EI_CLASS] == machines[i].class &&
            head[EI_DATA] == machines[i].data)
            *machine = machines[i].name;
    }
    return 0;
}

int kr_machine_check(const char *path, const char *machine, const char *what, struct kr_err *err)
{
    const char *found;

    if (kr_machine_of(path, &found, err) < 0)
        return -(int)err->code;
    if (strcmp(found, machine) == 0)
        return 0;
    return kr_fail(err, KR_E_INVALID, "%s is made for %s, and what it is sent to is linux/%s", what,
                   found, machine);
}

int kr_machine_program(const char *folder, const char *name, const char *machine, char **path,
                       struct kr_err *err)
{
    kr_auto_free char *own = kr_path_join(folder, name);
    kr_auto_free char *other = kr_asprintf("%s/linux-%s/%s", folder, machine, name);
    struct kr_err ignored = KR_ERR_INIT;

    *path = NULL;
    if (kr_machine_check(own, machine, own, err) == 0) {
        *path = kr_steal(&own);
        return 0;
    }
    if (err->code != KR_E_INVALID)
        return -(int)err->code;
    if (kr_machine_check(other, machine, other, &ignored) < 0)
        return kr_hint(err, "put the %s of linux/%s to %s", name, machine, other);
    kr_err_clear(err);
    *path = kr_steal(&other);
    return 0;
}
