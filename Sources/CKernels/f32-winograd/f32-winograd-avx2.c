#if defined(__x86_64__)
#include "../common.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#pragma STDC FP_CONTRACT ON

#define QK_WINOGRAD_LANES 8
#include "f32-winograd-template.h"

QK_DEFINE(2, avx2)
QK_DEFINE(4, avx2)

#pragma clang attribute pop
#endif
