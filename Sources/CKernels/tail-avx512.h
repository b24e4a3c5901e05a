// The integer tail on 16 sums.
#pragma once

#include "common.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))), apply_to = function)

QK_INLINE __mmask16 qk_mask16(size_t count) { return count >= 16 ? 0xFFFF : (__mmask16)((1u << count) - 1); }

// What turns sums that include the start into bytes, those of QK_TAIL_ADD after the addition.
struct qk_requantize64 {
  bool bounds_floats; // a product may exceed the integers
  __m512 hi;
  __m512i zero_point, lowest, highest;
};

QK_INLINE struct qk_requantize64 qk_requantize64(const struct qk_tail *tail) {
  const bool adds = tail->kind == QK_TAIL_ADD;
  const int zero_point = adds ? tail->add->clamp.zero_point : tail->zero_point;
  const int lowest = adds ? tail->add->clamp.lowest : (int)tail->lo + zero_point;
  const int highest = adds ? tail->add->clamp.highest : (int)tail->hi + zero_point;
  return (struct qk_requantize64){!tail->scales_below_1, _mm512_set1_ps(tail->hi), _mm512_set1_epi16((short)zero_point),
                                  _mm512_set1_epi8((char)lowest), _mm512_set1_epi8((char)highest)};
}

// 16 sums as integers before the zero point is added. Too low a product converts to the lowest integer, which the bytes
// saturate to; too high a one does so, too, and needs its bound here.
QK_INLINE __m512i qk_scaled16(__m512i sum, __m512 scale, const struct qk_requantize64 *to) {
  __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale);
  if (to->bounds_floats) product = _mm512_min_ps(to->hi, product);
  return _mm512_cvtps_epi32(product);
}

// The bytes of 64 such integers: each 128-bit lane holds 4 of v0, 4 of v1, 4 of v2, 4 of v3.
QK_INLINE __m512i qk_bytes64(__m512i v0, __m512i v1, __m512i v2, __m512i v3, const struct qk_requantize64 *to) {
  const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(v0, v1), to->zero_point);
  const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(v2, v3), to->zero_point);
  return _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(low, high), to->lowest), to->highest);
}

QK_INLINE __mmask64 qk_mask64(size_t count) { return count >= 64 ? ~0ull : (1ull << count) - 1; }

// What QK_TAIL_DEQUANTIZE makes of 16 sums that include the start.
QK_INLINE __m512 qk_dequantized16(__m512i sum, __m512 scale, __m512 bias, __m512 lo, __m512 hi) {
  const __m512 v = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale), bias);
  return _mm512_min_ps(hi, _mm512_max_ps(lo, v));
}

// What adds bytes to requantized sums.
struct qk_add16 {
  __m512 lo, hi; // of the requantized sums, before their zero point is added
  __m512 ma, mb;
  __m512i zb;
  bool bounds_floats; // a sum may exceed the integers
  __m512 highest;
};

QK_INLINE struct qk_add16 qk_add16(const struct qk_tail *tail) {
  const struct qk_u8_binary *add = tail->add;
  return (struct qk_add16){_mm512_set1_ps(tail->lo),
                           _mm512_set1_ps(tail->hi),
                           _mm512_set1_ps(add->ma),
                           _mm512_set1_ps(add->mb),
                           _mm512_set1_epi32(add->zb),
                           !(fabsf(add->ma) + fabsf(add->mb) < 0x1p22f),
                           _mm512_set1_ps((float)(add->clamp.highest - add->clamp.zero_point))};
}

// 16 sums requantized and added to 16 bytes, as integers before the zero point of the result is added. As in
// qk_scaled16, too low a result converts to the lowest integer.
QK_INLINE __m512i qk_added16(__m512i sum, __m512 scale, const uint8_t *bytes, const struct qk_add16 *add) {
  const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale);
  const __m512 a = _mm512_roundscale_ps(_mm512_min_ps(add->hi, _mm512_max_ps(add->lo, product)),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m128i sixteen = _mm_loadu_si128((const __m128i *)(const void *)bytes);
  const __m512 b = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepu8_epi32(sixteen), add->zb));
  __m512 both = _mm512_add_ps(_mm512_mul_ps(a, add->ma), _mm512_mul_ps(b, add->mb));
  if (add->bounds_floats) both = _mm512_min_ps(add->highest, both);
  return _mm512_cvtps_epi32(both);
}

// Stores the columns in `mask` of one row of sums that include the start, or bare ones for QK_TAIL_ROWS; `at` is the first column's index in the
// tail's arrays and the row.
QK_INLINE void qk_finish16(__m512i sum, size_t at, __mmask16 mask, void *row, const struct qk_tail *tail) {
  const __m512 lo = _mm512_set1_ps(tail->lo), hi = _mm512_set1_ps(tail->hi);
  if (tail->kind == QK_TAIL_REQUANTIZE) {
    const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(tail->scale + at));
    const __m512 v = _mm512_min_ps(hi, _mm512_max_ps(lo, product));
    const __m512i q = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(tail->zero_point));
    _mm_mask_storeu_epi8((uint8_t *)row + at, mask, _mm512_cvtepi32_epi8(q));
  } else if (tail->kind == QK_TAIL_ADD) {
    const struct qk_add16 add = qk_add16(tail);
    const struct qk_u8_clamp clamp = tail->add->clamp;
    const __m512i v = qk_added16(sum, _mm512_loadu_ps(tail->scale + at), qk_addends(row, tail) + at, &add);
    const __m512i lowest = _mm512_set1_epi32(clamp.lowest - clamp.zero_point);
    const __m512i highest = _mm512_set1_epi32(clamp.highest - clamp.zero_point);
    const __m512i q = _mm512_add_epi32(_mm512_min_epi32(highest, _mm512_max_epi32(lowest, v)),
                                       _mm512_set1_epi32(clamp.zero_point));
    _mm_mask_storeu_epi8((uint8_t *)row + at, mask, _mm512_cvtepi32_epi8(q));
  } else if (tail->kind == QK_TAIL_SUMS || tail->kind == QK_TAIL_ROWS) {
    _mm512_mask_storeu_epi32((int32_t *)row + at, mask, sum);
  } else {
    const __m512 scale = _mm512_loadu_ps(tail->scale + at), bias = _mm512_loadu_ps(tail->bias + at);
    _mm512_mask_storeu_ps((float *)row + at, mask, qk_dequantized16(sum, scale, bias, lo, hi));
  }
}

// The same for sums without the start.
QK_INLINE void qk_tail16(__m512i acc, size_t at, __mmask16 mask, void *row, const struct qk_tail *tail) {
  const __m512i sum = _mm512_add_epi32(acc, _mm512_loadu_si512(tail->start + at));
  qk_finish16(tail->kind == QK_TAIL_ROWS ? acc : sum, at, mask, row, tail);
}

#pragma clang attribute pop
