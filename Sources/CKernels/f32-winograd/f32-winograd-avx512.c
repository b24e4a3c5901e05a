#if defined(__x86_64__)
#include "../common.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))),             \
                             apply_to = function)
#pragma STDC FP_CONTRACT ON

#define QK_WINOGRAD_LANES 16
#include "f32-winograd-template.h"

QK_DEFINE(2, avx512)
QK_DEFINE(4, avx512)

#pragma clang attribute pop
#endif
