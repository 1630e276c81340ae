/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/sandbox.h"

#include "base/attrs.h"
#include "base/log.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

static void refused(const char *what, int code)
{
    kr_log(KR_LOG_DEBUG, "serve", "not confined: %s: errno %d", what, code);
}

/* -- system calls ------------------------------------------------------------------------------ */

#ifdef ARCH

/* The new namespaces of clone() and unshare(): a user namespace makes anybody root of a part of the
 * kernel's code. */
#define NAMESPACES 0x7e020000U
#define X32_BIT    0x40000000U

/* What the front asks for at every request comes first. (Since Linux 5.11 the kernel remembers
 * which calls are always allowed and does not run the filter for them.) */
static const int hot[] = {
    __NR_read,        __NR_write,     __NR_recvfrom, __NR_sendto,  __NR_recvmsg, __NR_sendmsg,
    __NR_writev,      __NR_epoll_ctl, __NR_futex,    __NR_accept4, __NR_close,
#ifdef __NR_epoll_wait
    __NR_epoll_wait,
#endif
    __NR_epoll_pwait,
};

/* Administration of the machine. ptrace() and its kin are not here: debuggers and profilers of
 * workers use them. */
static const int denied[] = {
    __NR_mount,
    __NR_umount2,
    __NR_pivot_root,
    __NR_move_mount,
    __NR_open_tree,
    __NR_fsopen,
    __NR_fsconfig,
    __NR_fsmount,
    __NR_fspick,
    __NR_mount_setattr,
    __NR_setns,
    __NR_swapon,
    __NR_swapoff,
    __NR_reboot,
    __NR_kexec_load,
    __NR_kexec_file_load,
    __NR_init_module,
    __NR_finit_module,
    __NR_delete_module,
    __NR_bpf,
    __NR_perf_event_open,
    __NR_userfaultfd,
    __NR_add_key,
    __NR_request_key,
    __NR_keyctl,
    __NR_open_by_handle_at,
    __NR_acct,
    __NR_quotactl,
    __NR_quotactl_fd,
    __NR_syslog,
    __NR_settimeofday,
    __NR_clock_settime,
    __NR_clock_adjtime,
    __NR_adjtimex,
    __NR_sethostname,
    __NR_setdomainname,
    __NR_nfsservctl,
    __NR_lookup_dcookie,
    __NR_vhangup,
#ifdef __NR_iopl
    __NR_iopl,
    __NR_ioperm,
#endif
};

enum { PROGRAM_MAX = 24 + KR_ARRAY_LEN(hot) + 2 * KR_ARRAY_LEN(denied) };

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short n;
};

static void add(struct program *p, struct sock_filter one)
{
    p->code[p->n++] = one;
}

static void load(struct program *p, size_t offset)
{
    add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct program *p, uint32_t action)
{
    add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* If (loaded OP value) answer action; else go on behind it. */
static void answer_if(struct program *p, uint16_t op, uint32_t value, uint32_t action)
{
    add(p, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | BPF_K | op), value, 0, 1));
    answer(p, action);
}

static void make_program(struct program *p)
{
    const uint32_t no = SECCOMP_RET_ERRNO | EPERM, unknown = SECCOMP_RET_ERRNO | ENOSYS;
    const size_t flags =
        offsetof(struct seccomp_data, args); /* both machines: the low half comes first */

    p->n = 0;
    load(p, offsetof(struct seccomp_data, arch));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    answer(p, SECCOMP_RET_KILL_PROCESS); /* 32-bit programs have other numbers for all of this */
    load(p, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < KR_ARRAY_LEN(hot); i++)
        add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)hot[i],
                                            (uint8_t)(KR_ARRAY_LEN(hot) - i), 0));
    add(p, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
    answer(p, SECCOMP_RET_ALLOW);
#ifdef __x86_64__
    answer_if(p, BPF_JGE, X32_BIT, unknown);
#endif
    for (size_t i = 0; i < KR_ARRAY_LEN(denied); i++)
        answer_if(p, BPF_JEQ, (uint32_t)denied[i], no);
    /* A filter cannot look into clone3()'s structure; told that there is none, the C library uses
     * clone(). */
    answer_if(p, BPF_JEQ, __NR_clone3, unknown);
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 2, 0));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_unshare, 1, 0));
    answer(p, SECCOMP_RET_ALLOW);
    load(p, flags);
    answer_if(p, BPF_JSET, NAMESPACES, no);
    answer(p, SECCOMP_RET_ALLOW);
}

static bool install_filter(void)
{
    struct program program;
    struct sock_fprog prog;
    /* Older kernels slow every filtered process down against guesses of the processor, unless told
     * that the filter does not separate pieces of code that distrust each other within one
     * process. */
    const unsigned long flags[] = {SECCOMP_FILTER_FLAG_SPEC_ALLOW, 0};

    make_program(&program);
    prog = (struct sock_fprog){.len = program.n, .filter = program.code};
    for (size_t i = 0; i < KR_ARRAY_LEN(flags); i++) {
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i], &prog) == 0)
            return true;
    }
    refused("system call filter", errno);
    return false;
}

#else

static bool install_filter(void)
{
    refused("no system call filter for this machine", ENOSYS);
    return false;
}

#endif

/* -- capabilities ------------------------------------------------------------------------------ */

/* Files of others, sockets, priorities, limits and signals stay: a server that root starts works on
 * root's files. */
static const int dropped[] = {
    CAP_LINUX_IMMUTABLE, CAP_NET_ADMIN, CAP_SYS_MODULE,    CAP_SYS_RAWIO,
    CAP_SYS_PACCT,       CAP_SYS_ADMIN, CAP_SYS_BOOT,      CAP_SYS_TIME,
    CAP_SYS_TTY_CONFIG,  CAP_MKNOD,     CAP_AUDIT_CONTROL, CAP_AUDIT_READ,
    CAP_MAC_OVERRIDE,    CAP_MAC_ADMIN, CAP_SYSLOG,        CAP_WAKE_ALARM,
    CAP_BLOCK_SUSPEND,   CAP_PERFMON,   CAP_BPF,
};

/* The bounding set first (it needs CAP_SETPCAP, which a user other than root has not), then the
 * process's own sets. With no new privileges, what a process has not its programs cannot regain,
 * whatever the bounding set says. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];

    for (size_t i = 0; i < KR_ARRAY_LEN(dropped); i++) {
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, dropped[i], 0, 0);
        (void)prctl(PR_CAPBSET_DROP, dropped[i], 0, 0, 0);
    }
    memset(sets, 0, sizeof(sets));
    if (syscall(SYS_capget, &head, sets) < 0) {
        refused("capabilities", errno);
        return false;
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(dropped); i++) {
        const uint32_t bit = ~(1U << (dropped[i] % 32));
        struct __user_cap_data_struct *half = &sets[dropped[i] / 32];

        half->effective &= bit;
        half->permitted &= bit;
        half->inheritable &= bit;
    }
    if (syscall(SYS_capset, &head, sets) < 0) {
        refused("capabilities", errno);
        return false;
    }
    return true;
}

/* -- all of it --------------------------------------------------------------------------------- */

void kr_sandbox_enter(struct kr_sandbox *out)
{
    *out = (struct kr_sandbox){.no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0};
    if (!out->no_new_privs)
        refused("no new privileges", errno);
    out->filter = install_filter();
    out->fewer_caps = drop_capabilities();
}

const char *kr_sandbox_text(const struct kr_sandbox *sandbox, char text[KR_SANDBOX_TEXT])
{
    const struct {
        bool on;
        const char *what;
    } parts[] = {{sandbox->no_new_privs, "no new privileges"},
                 {sandbox->filter, "system call filter"},
                 {sandbox->fewer_caps, "no administration capabilities"}};
    size_t n = 0;

    (void)snprintf(text, KR_SANDBOX_TEXT, "none");
    for (size_t i = 0; i < KR_ARRAY_LEN(parts); i++) {
        if (parts[i].on)
            n += (size_t)snprintf(text + n, KR_SANDBOX_TEXT - n, "%s%s", n > 0 ? ", " : "",
                                  parts[i].what);
    }
    return text;
}
