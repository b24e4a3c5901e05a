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

static void choose(void) {
  enum qk_isa limit = QK_ISA_AMX;
  const char *wish = getenv("QCONVERT_ISA");
  for (int isa = QK_ISA_PORTABLE; wish != NULL && isa <= QK_ISA_AMX; isa++) {
    if (strcmp(wish, names[isa]) == 0) limit = (enum qk_isa)isa;
  }
  best = QK_ISA_PORTABLE;
  for (int isa = QK_ISA_PORTABLE; isa <= (int)limit; isa++) {
    if (detect((enum qk_isa)isa)) best = (enum qk_isa)isa;
  }
}

enum qk_isa qk_isa_best(void) {
  pthread_once(&once, choose);
  return best;
}

bool qk_isa_available(enum qk_isa isa) { return detect(isa); }

const char *qk_isa_name(enum qk_isa isa) { return names[isa]; }
