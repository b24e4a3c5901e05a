// The integer tail on 16 sums.
#pragma once

#include "common.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))), apply_to = function)

QK_INLINE __mmask16 qk_mask16(size_t count) { return count >= 16 ? 0xFFFF : (__mmask16)((1u << count) - 1); }

// Stores the columns in `mask` of one row; `at` is the first column's index in the tail's arrays and the row.
QK_INLINE void qk_tail16(__m512i acc, size_t at, __mmask16 mask, void *row, const struct qk_tail *tail) {
  const __m512i sum = _mm512_add_epi32(acc, _mm512_loadu_si512(tail->start + at));
  const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(tail->scale + at));
  const __m512 lo = _mm512_set1_ps(tail->lo), hi = _mm512_set1_ps(tail->hi);
  if (tail->kind == QK_TAIL_REQUANTIZE) {
    const __m512 v = _mm512_min_ps(hi, _mm512_max_ps(lo, product));
    const __m512i q = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(tail->zero_point));
    _mm_mask_storeu_epi8((uint8_t *)row + at, mask, _mm512_cvtepi32_epi8(q));
  } else if (tail->kind == QK_TAIL_SUMS) {
    _mm512_mask_storeu_epi32((int32_t *)row + at, mask, sum);
  } else {
    const __m512 v = _mm512_add_ps(product, _mm512_loadu_ps(tail->bias + at));
    _mm512_mask_storeu_ps((float *)row + at, mask, _mm512_min_ps(hi, _mm512_max_ps(lo, v)));
  }
}

#pragma clang attribute pop
