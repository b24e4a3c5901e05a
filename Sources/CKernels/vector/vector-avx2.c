#if defined(__x86_64__)
#include "../common.h"

#define QK_VECTOR_NAME "avx2"
#define QK_VECTOR_ISA QK_ISA_AVX2
#define QK_VECTOR_TABLE qk_vector_ops__avx2

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "vector-template.h"
#pragma clang attribute pop
#endif
