#include "common.h"

#include <pthread.h>
#include <stdlib.h>

static bool detect(enum qk_isa isa) {
#if defined(__x86_64__)
  switch (isa) {
  case QK_ISA_PORTABLE:
    return true;
  case QK_ISA_AVX2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  case QK_ISA_AVX512VNNI:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
  case QK_ISA_AMX:
    return false;
  }
  return false;
#else
  return isa == QK_ISA_PORTABLE;
#endif
}

static const char *const names[] = {"portable", "avx2", "avx512vnni", "amx"};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static enum qk_isa best;
static bool wish_granted;

static void choose(void) {
  const char *wish = getenv("QCONVERT_ISA");
  const bool is_free = wish == NULL || wish[0] == 0;
  best = QK_ISA_PORTABLE;
  wish_granted = is_free;
  for (int isa = QK_ISA_PORTABLE; isa <= QK_ISA_AMX; isa++) {
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
