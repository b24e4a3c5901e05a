#if defined(__x86_64__)
#include "../common.h"

#define QK_VECTOR_NAME "avx512"
#define QK_VECTOR_ISA QK_ISA_AVX512VNNI
#define QK_VECTOR_TABLE qk_vector_ops__avx512

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#include "vector-template.h"
#pragma clang attribute pop
#endif
