#include "common.h"

#include <pthread.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_once_t amx_once = PTHREAD_ONCE_INIT;
static bool amx_works;

// Whether the system saves the tile registers: bits 17 and 18 of XCR0.
__attribute__((target("xsave"))) static bool saves_tiles(void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE) != 0 && (__builtin_ia32_xgetbv(0) >> 17 & 3) == 3;
}

// Asks the system for the tile registers, for the whole process, and tries them: what gives other sums than the
// portable kernels is not used.
static void try_amx(void) {
  enum { request_permission = 0x1023, tile_data = 18 };
  unsigned a, b, c, d;
  const bool has_tiles = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 3) == 3; // AMX-TILE, AMX-INT8
  amx_works = has_tiles && saves_tiles() && syscall(SYS_arch_prctl, request_permission, tile_data) == 0 &&
              qk_self_check(QK_ISA_AMX);
}

static bool detect(enum qk_isa isa) {
  switch (isa) {
  case QK_ISA_PORTABLE:
    return true;
  case QK_ISA_AVX2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  case QK_ISA_AVXVNNI:
    return detect(QK_ISA_AVX2) && __builtin_cpu_supports("avxvnni");
  case QK_ISA_AVX512VNNI:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
  case QK_ISA_AMX:
    if (!detect(QK_ISA_AVX512VNNI)) return false;
    pthread_once(&amx_once, try_amx);
    return amx_works;
  case QK_ISA_NEON:
    return false;
  }
  return false;
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

static bool detect(enum qk_isa isa) {
  const unsigned long dot_products = 1 << 20; // HWCAP_ASIMDDP
  return isa == QK_ISA_PORTABLE || (isa == QK_ISA_NEON && (getauxval(AT_HWCAP) & dot_products) != 0);
}
#else
static bool detect(enum qk_isa isa) { return isa == QK_ISA_PORTABLE; }
#endif

static const char *const names[] = {"portable", "avx2", "avxvnni", "avx512vnni", "amx", "neon"};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static enum qk_isa best;
static bool wish_granted;

static void choose(void) {
  const char *wish = getenv("QCONVERT_ISA");
  const bool is_free = wish == NULL || wish[0] == 0;
  best = QK_ISA_PORTABLE;
  wish_granted = is_free;
  for (int isa = QK_ISA_PORTABLE; isa <= QK_ISA_NEON; isa++) {
    const bool wanted = is_free || strcmp(wish, names[isa]) == 0;
    if (!wanted || !detect((enum qk_isa)isa)) continue;
    best = (enum qk_isa)isa;
    wish_granted = true;
  }
}

enum qk_isa qk_isa_best(void) {
  pthread_once(&once, choose);
  return best;
}

bool qk_isa_wish_granted(void) {
  pthread_once(&once, choose);
  return wish_granted;
}

bool qk_isa_available(enum qk_isa isa) { return detect(isa); }

const char *qk_isa_name(enum qk_isa isa) { return names[isa]; }
