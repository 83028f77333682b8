/* Hides instruction sets from every program: CPUID faults, and its answer is given here without them.

   Built and preloaded by lesser_processor.py; Linux on x86-64 with "cpuid_fault" in /proc/cpuinfo. */

#define _GNU_SOURCE
#include <asm/prctl.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define BIT(n) (1u << (n))

static const unsigned AVX512_B = BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31);
static const unsigned AVX512_C = BIT(1) | BIT(6) | BIT(12) | BIT(14); /* VBMI, VBMI2, BITALG, VPOPCNTDQ */
static const unsigned VNNI_C = BIT(11);
static const unsigned AVX512_D = BIT(2) | BIT(3) | BIT(8) | BIT(23);
static const unsigned AMX_D = BIT(22) | BIT(24) | BIT(25);
static const unsigned VNNI_1A = BIT(4) | BIT(5) | BIT(21) | BIT(23); /* AVX_VNNI, AVX512_BF16, AMX_FP16, AVX_IFMA */
static const unsigned VNNI_1D = BIT(4) | BIT(5) | BIT(8) | BIT(10) | BIT(19);

static int only_avx2;
static struct sigaction next_handler;
static int (*real_sigaction)(int, const struct sigaction *, struct sigaction *);

static void answer(greg_t *registers) {
    unsigned a = registers[REG_RAX], c = registers[REG_RCX], leaf = a, sub = c, b, d;
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
    if (leaf == 7 && sub == 0) {
        c &= ~VNNI_C;
        d &= ~AMX_D;
        if (only_avx2) {
            b &= ~AVX512_B;
            c &= ~AVX512_C;
            d &= ~AVX512_D;
        }
    } else if (leaf == 7 && sub == 1) {
        a &= ~VNNI_1A;
        d &= ~VNNI_1D;
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
}

static void on_fault(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)registers[REG_RIP];
    if (info->si_code == SI_KERNEL && code[0] == 0x0f && code[1] == 0xa2) {
        answer(registers);
        registers[REG_RIP] += 2;
    } else if (next_handler.sa_flags & SA_SIGINFO) {
        next_handler.sa_sigaction(number, info, context);
    } else if (next_handler.sa_handler != SIG_DFL && next_handler.sa_handler != SIG_IGN) {
        next_handler.sa_handler(number);
    } else {
        real_sigaction(number, &next_handler, NULL); /* the fault comes again, without us */
    }
}

/* Others may ask for the signal (Python's faulthandler does): they come after us. */
int sigaction(int number, const struct sigaction *action, struct sigaction *old) {
    if (!real_sigaction)
        real_sigaction = dlsym(RTLD_NEXT, "sigaction");
    if (number != SIGSEGV)
        return real_sigaction(number, action, old);
    if (old)
        *old = next_handler;
    if (action)
        next_handler = *action;
    return 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *level = getenv("LESSER_PROCESSOR");
    struct sigaction ours;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = on_fault;
    ours.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    only_avx2 = level && !strcmp(level, "avx2");
    next_handler.sa_handler = SIG_DFL;
    real_sigaction = dlsym(RTLD_NEXT, "sigaction");
    real_sigaction(SIGSEGV, &ours, NULL);
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
}
