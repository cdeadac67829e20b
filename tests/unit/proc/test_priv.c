// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The filter of system calls says what one says that libseccomp makes of the same table, for every call and for arguments on both
 * sides of every check; it is made without an allocation that could fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/priv.h"

#define SELF     4711
#define CODE_MAX 4096
#define HIGH     (UINT64_C(1) << 32)

static const struct role {
    enum ipc_role role;
    char letter;
} roles[] = {{IPC_ROLE_WORKER, 'W'}, {IPC_ROLE_AUTH, 'A'},   {IPC_ROLE_HASHER, 'H'},
             {IPC_ROLE_KEEPER, 'K'}, {IPC_ROLE_HELPER, 'P'}, {IPC_ROLE_CHECK, 'C'}};

struct program {
    struct sock_filter code[CODE_MAX];
    size_t n;
};

/* --- libseccomp's, of the same table */

#define EVERY "WAHKPC"

enum check { ANY, NO_EXEC, OWN, NONBLOCKING, FILE_FLAGS, FILE_LOCKS, TCP_OPTIONS };

static const struct call {
    const char *name, *roles;
    enum check check;
} calls[] = {
#define CALL(name, roles, check) {#name, roles, check},
#include "proc/priv.tbl"
};

static void allow(scmp_filter_ctx ctx, int number, unsigned n, struct scmp_arg_cmp a,
                  struct scmp_arg_cmp b)
{
    struct scmp_arg_cmp both[] = {a, b};
    assert_int_equal(seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, number, n, both), 0);
}

static void allow_commands(scmp_filter_ctx ctx, int number, const uint64_t *list, size_t n)
{
    static const struct scmp_arg_cmp none;
    for (size_t i = 0; i < n; i++)
        allow(ctx, number, 1, SCMP_A1_64(SCMP_CMP_EQ, list[i], 0), none);
}

static void allow_call(scmp_filter_ctx ctx, const struct call *c)
{
    static const struct scmp_arg_cmp none;
    static const uint64_t nonblocking[] = {FIONBIO, FIONREAD};
    static const uint64_t flags[] = {F_GETFD, F_SETFD,         F_GETFL,     F_SETFL,
                                     F_DUPFD, F_DUPFD_CLOEXEC, F_GET_SEALS, F_ADD_SEALS};
    static const uint64_t locks[] = {F_GETLK, F_SETLK};
    int number = seccomp_syscall_resolve_name(c->name);
    if (number < 0)
        return;
    switch (c->check) {
    case ANY:
        allow(ctx, number, 0, none, none);
        break;
    case NO_EXEC:
        allow(ctx, number, 1, SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0), none);
        break;
    case OWN:
        allow(ctx, number, 1, SCMP_A0_64(SCMP_CMP_EQ, SELF, 0), none);
        break;
    case NONBLOCKING:
        allow_commands(ctx, number, nonblocking, ARRAY_LEN(nonblocking));
        break;
    case FILE_FLAGS:
        allow_commands(ctx, number, flags, ARRAY_LEN(flags));
        break;
    case FILE_LOCKS:
        allow_commands(ctx, number, locks, ARRAY_LEN(locks));
        break;
    case TCP_OPTIONS:
        allow(ctx, number, 2, SCMP_A1_64(SCMP_CMP_EQ, IPPROTO_TCP, 0),
              SCMP_A2_64(SCMP_CMP_EQ, TCP_NODELAY, 0));
        allow(ctx, number, 2, SCMP_A1_64(SCMP_CMP_EQ, IPPROTO_TCP, 0),
              SCMP_A2_64(SCMP_CMP_EQ, TCP_NOTSENT_LOWAT, 0));
        break;
    }
}

static void make_theirs(char letter, struct program *p)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    assert_true(fd >= 0);
    assert_non_null(ctx);
    assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (strchr(calls[i].roles, letter) != NULL)
            allow_call(ctx, &calls[i]);
    }
    assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
    seccomp_release(ctx);
    ssize_t n = pread(fd, p->code, sizeof p->code, 0);
    assert_true(n > 0 && (size_t)n < sizeof p->code);
    p->n = (size_t)n / sizeof p->code[0];
    close(fd);
}

/* --- what a filter says, as the kernel's manual has it (networking/filter) */

static uint32_t run(const struct program *p, const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (size_t at = 0; at < p->n; at++) {
        const struct sock_filter *s = &p->code[at];
        switch (s->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(s->k % 4 == 0 && s->k + 4 <= sizeof *data);
            memcpy(&a, (const char *)data + s->k, 4);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= s->k;
            break;
        case BPF_JMP | BPF_JA:
            at += s->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += a == s->k ? s->jt : s->jf;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            at += a > s->k ? s->jt : s->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            at += a >= s->k ? s->jt : s->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            at += (a & s->k) != 0 ? s->jt : s->jf;
            break;
        case BPF_RET | BPF_K:
            return s->k;
        default:
            fail_msg("instruction %x", s->code);
        }
    }
    fail_msg("it has no end");
    return 0;
}

static struct program ours, theirs;
static size_t compared, allowed;

static void compare(const struct seccomp_data *data)
{
    uint32_t want = run(&theirs, data), got = run(&ours, data);
    if (want != got)
        fail_msg("call %d(%llx, %llx, %llx) of %x: %x, not %x", data->nr,
                 (unsigned long long)data->args[0], (unsigned long long)data->args[1],
                 (unsigned long long)data->args[2], data->arch, got, want);
    compared++;
    allowed += got == SECCOMP_RET_ALLOW;
}

static bool stands_in_table(int number)
{
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (seccomp_syscall_resolve_name(calls[i].name) == number)
            return true;
    }
    return false;
}

static void compare_arguments(struct seccomp_data data)
{
    static const uint64_t first[] = {0, 1, SELF - 1, SELF, SELF + 1, SELF | HIGH};
    static const uint64_t second[] = {0,
                                      1,
                                      2,
                                      3,
                                      4,
                                      5,
                                      6,
                                      7,
                                      8,
                                      9,
                                      1029,
                                      1030,
                                      1031,
                                      1032,
                                      1033,
                                      1034,
                                      1035,
                                      FIOCLEX,
                                      FIONBIO,
                                      FIONBIO + 1,
                                      FIONBIO - 1,
                                      FIONREAD,
                                      FIOASYNC,
                                      TIOCSTI,
                                      SOL_SOCKET,
                                      IPPROTO_UDP,
                                      IPPROTO_TCP | HIGH,
                                      F_SETFL | HIGH,
                                      FIONBIO | HIGH,
                                      UINT64_MAX};
    static const uint64_t third[] = {0,
                                     1,
                                     2,
                                     3,
                                     4,
                                     5,
                                     6,
                                     7,
                                     TCP_NOTSENT_LOWAT - 1,
                                     TCP_NOTSENT_LOWAT,
                                     TCP_NOTSENT_LOWAT + 1,
                                     HIGH,
                                     HIGH | PROT_READ,
                                     HIGH | TCP_NODELAY,
                                     HIGH | PROT_EXEC,
                                     UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        for (size_t k = 0; k < ARRAY_LEN(second); k++) {
            for (size_t l = 0; l < ARRAY_LEN(third); l++) {
                data.args[0] = first[i];
                data.args[1] = second[k];
                data.args[2] = third[l];
                compare(&data);
            }
        }
    }
}

static void test_same_filter(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        make_theirs(roles[i].letter, &theirs);
        ours.n = priv_filter(roles[i].role, SELF, ours.code, PRIV_FILTER_MAX);
        compared = allowed = 0;
        for (int number = -1; number < 1024; number++) {
            struct seccomp_data data = {.nr = number, .arch = seccomp_arch_native()};
            compare(&data);
            if (stands_in_table(number))
                compare_arguments(data);
            data.nr = number | 0x40000000; /* x32 */
            compare(&data);
            data.nr = number;
            data.arch = seccomp_arch_native() == SCMP_ARCH_X86 ? SCMP_ARCH_ARM : SCMP_ARCH_X86;
            compare(&data);
        }
        assert_true(allowed > 20 && allowed < compared);
    }
}

/* --- want of memory. Under a sanitizer, which wants malloc() for itself, no process has a filter (proc/priv.h). */

#if !PRIV_SANITIZED
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);

static long left = -1; /* allocations that still work; -1: all */

static bool fails(void)
{
    if (left < 0)
        return false;
    if (left == 0) {
        errno = ENOMEM;
        left = -1;
        return true;
    }
    left--;
    return false;
}

void *malloc(size_t n)
{
    return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return fails() ? NULL : __libc_realloc(p, n);
}

enum outcome { WORKS, NO_FILTER, ALL_WERE_THERE };

/* In a child: the filter, one allocation of it failing, then what everybody may do. */
static _Noreturn void limit(enum ipc_role role, long works)
{
    struct stat st;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        _exit(99);
    left = works;
    enum err e = priv_seccomp(role);
    bool all_were_there = left >= 0;
    left = -1;
    if (e != ERR_OK)
        _exit(NO_FILTER);
    (void)fstat(0, &st);
    free(malloc((size_t)1 << 22));
    if (getpid() <= 0 || fcntl(0, F_GETFL) == -2)
        _exit(99);
    _exit(all_were_there ? ALL_WERE_THERE : WORKS);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        for (long works = 0, status = 0; status != ALL_WERE_THERE; works++) {
            int how;
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0)
                limit(roles[i].role, works);
            assert_int_equal(waitpid(pid, &how, 0), pid);
            if (!WIFEXITED(how))
                fail_msg("allocation %ld: signal %d", works + 1, WTERMSIG(how));
            status = WEXITSTATUS(how);
            assert_in_range(status, WORKS, ALL_WERE_THERE);
        }
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_filter),
#if !PRIV_SANITIZED
        cmocka_unit_test(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
