// The integer tail on 8 sums.
#pragma once

#include "common.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

// Adds 8 bytes to 8 others less their zero point; the sums lack the zero point of the result.
QK_INLINE __m256i qk_added8(__m256i a, const uint8_t *bytes, const struct qk_u8_binary *add) {
  const int zero_point = add->clamp.zero_point;
  const __m256i b = _mm256_sub_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)bytes)),
                                     _mm256_set1_epi32(add->zb));
  const __m256 sum = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(a), _mm256_set1_ps(add->ma)),
                                   _mm256_mul_ps(_mm256_cvtepi32_ps(b), _mm256_set1_ps(add->mb)));
  const __m256 lo = _mm256_set1_ps((float)(add->clamp.lowest - zero_point));
  const __m256 hi = _mm256_set1_ps((float)(add->clamp.highest - zero_point));
  return _mm256_cvtps_epi32(_mm256_min_ps(hi, _mm256_max_ps(lo, sum)));
}

// Stores `count` columns of one row; `at` is the first column's index in the tail's arrays and the row.
QK_INLINE void qk_tail8(__m256i acc, size_t at, size_t count, void *row, const struct qk_tail *tail) {
  const __m256i sum = _mm256_add_epi32(acc, _mm256_loadu_si256((const __m256i *)(tail->start + at)));
  const __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(tail->scale + at));
  const __m256 lo = _mm256_set1_ps(tail->lo), hi = _mm256_set1_ps(tail->hi);
  if (tail->kind == QK_TAIL_REQUANTIZE || tail->kind == QK_TAIL_ADD) {
    __m256i v = _mm256_cvtps_epi32(_mm256_min_ps(hi, _mm256_max_ps(lo, product)));
    int zero_point = tail->zero_point;
    if (tail->kind == QK_TAIL_ADD) {
      v = qk_added8(v, qk_addends(row, tail) + at, tail->add);
      zero_point = tail->add->clamp.zero_point;
    }
    const __m256i q = _mm256_add_epi32(v, _mm256_set1_epi32(zero_point));
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    const int64_t bytes = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
    memcpy((uint8_t *)row + at, &bytes, qk_min(count, 8));
  } else if (tail->kind == QK_TAIL_SUMS || tail->kind == QK_TAIL_ROWS) {
    int32_t rest[8];
    _mm256_storeu_si256((__m256i *)rest, tail->kind == QK_TAIL_SUMS ? sum : acc);
    memcpy((int32_t *)row + at, rest, qk_min(count, 8) * sizeof(int32_t));
  } else {
    const __m256 v = _mm256_add_ps(product, _mm256_loadu_ps(tail->bias + at));
    float rest[8];
    _mm256_storeu_ps(rest, _mm256_min_ps(hi, _mm256_max_ps(lo, v)));
    memcpy((float *)row + at, rest, qk_min(count, 8) * sizeof(float));
  }
}

#pragma clang attribute pop
