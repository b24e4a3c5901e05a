// The dot product of AVX-VNNI in plain C, for machines without it. Included before the kernels.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

__attribute__((noinline, target("avx2"))) static __m256i emulated_dot_product(__m256i sums, __m256i a, __m256i b) {
  uint32_t sum[8];
  uint8_t x[32];
  int8_t y[32];
  memcpy(sum, &sums, 32);
  memcpy(x, &a, 32);
  memcpy(y, &b, 32);
  for (size_t i = 0; i < 32; i++) sum[i / 4] += (uint32_t)(x[i] * y[i]);
  memcpy(&sums, sum, 32);
  return sums;
}

#define _mm256_dpbusd_avx_epi32 emulated_dot_product
