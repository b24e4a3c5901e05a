#if defined(__x86_64__)
#include "../common.h"

#include <immintrin.h>

#define QK_VECTOR_NAME "avx512"
#define QK_VECTOR_ISA QK_ISA_AVX512VNNI
#define QK_VECTOR_TABLE qk_vector_ops__avx512
#define QK_VECTOR_TABLE_U8 table_u8
#define QK_VECTOR_QUANTIZE_U8 quantize_by_product

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)

// Both halves of the table as 8 rows of 16 entries. Row i is stored as its difference (xor) from row i - 1 of its half:
// a byte shuffle gives 0 where x - 16 i is negative, so the rows up to that of x add up to its entry.
static void table_u8(size_t n, const uint8_t *x, uint8_t *out, const uint8_t *table) {
  __m512i rows[16];
  __m128i before = _mm_setzero_si128();
  for (size_t i = 0; i < 16; i++) {
    const __m128i row = _mm_loadu_si128((const __m128i *)(const void *)(table + i * 16));
    rows[i] = _mm512_broadcast_i32x4(i == 8 ? row : _mm_xor_si128(row, before));
    before = row;
  }
  const __m512i step = _mm512_set1_epi8(16), half = _mm512_set1_epi8(-128);
  for (size_t i = 0; i < n; i += 64) {
    const __mmask64 mask = n - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (n - i)) - 1;
    __m512i low = _mm512_maskz_loadu_epi8(mask, x + i), high = _mm512_xor_si512(low, half);
    __m512i y = _mm512_xor_si512(_mm512_shuffle_epi8(rows[0], low), _mm512_shuffle_epi8(rows[8], high));
    QK_UNROLL for (size_t r = 1; r < 8; r++) {
      low = _mm512_subs_epi8(low, step);
      high = _mm512_subs_epi8(high, step);
      y = _mm512_ternarylogic_epi32(y, _mm512_shuffle_epi8(rows[r], low), _mm512_shuffle_epi8(rows[r + 8], high), 0x96);
    }
    _mm512_mask_storeu_epi8(out + i, mask, y);
  }
}

// Quotients rounded as a division rounds them, for |x| <= 1024 * scale, from `inverse`, which is 1 / scale rounded: the
// first correction brings them within one ulp, the second is Markstein's theorem.
QK_INLINE __m512 divide(__m512 x, __m512 scale, __m512 inverse) {
  const __m512 q0 = _mm512_mul_ps(x, inverse);
  const __m512 q1 = _mm512_fmadd_ps(_mm512_fnmadd_ps(q0, scale, x), inverse, q0);
  return _mm512_fmadd_ps(_mm512_fnmadd_ps(q1, scale, x), inverse, q1);
}

// The rounded quotients of 16 numbers, NaN as 0, bounded to 1024.
QK_INLINE __m512i rounded_quotients(__m512 x, __m512 scale, __m512 inverse, __m512 bound) {
  const __mmask16 is_number = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);
  const __m512 v = _mm512_max_ps(_mm512_sub_ps(_mm512_setzero_ps(), bound), _mm512_maskz_min_ps(is_number, x, bound));
  return _mm512_cvtps_epi32(divide(v, scale, inverse));
}

// The rounded quotients of 16 numbers by a product, and where that is not certain: it is off by less than 2^-14 below
// 256, above which bytes saturate, and NaN and what exceeds the integers is not certain either.
QK_INLINE __mmask16 rounded_products(__m512 x, __m512 inverse, __m512i *rounded) {
  const __m512 product = _mm512_mul_ps(x, inverse);
  *rounded = _mm512_cvtps_epi32(product);
  const __m512 rest = _mm512_abs_ps(_mm512_sub_ps(product, _mm512_cvtepi32_ps(*rounded)));
  return _mm512_cmp_ps_mask(rest, _mm512_set1_ps(0.5f - 0x1p-14f), _CMP_NLT_UQ);
}

static void quantize_by_product(size_t n, const float *x, uint8_t *out, float scale, uint8_t zero_point) {
  const __m512 s = _mm512_set1_ps(scale), inverse = _mm512_set1_ps(1.0f / scale);
  const __m512 bound = _mm512_set1_ps(1024.0f * scale);
  const __m512i zero16 = _mm512_set1_epi16(zero_point), zero32 = _mm512_set1_epi32(zero_point);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    __m512i q[4];
    __mmask16 uncertain = 0;
    QK_UNROLL for (size_t j = 0; j < 4; j++) {
      uncertain |= rounded_products(_mm512_loadu_ps(x + i + j * 16), inverse, &q[j]);
    }
    if (__builtin_expect(uncertain != 0, 0)) {
      for (size_t j = 0; j < 4; j++) q[j] = rounded_quotients(_mm512_loadu_ps(x + i + j * 16), s, inverse, bound);
    }
    const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(q[0], q[1]), zero16);
    const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(q[2], q[3]), zero16);
    _mm512_storeu_si512(out + i, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high)));
  }
  for (; i < n; i += 16) {
    const __mmask16 mask = n - i >= 16 ? 0xFFFF : (__mmask16)((1u << (n - i)) - 1);
    const __m512i q = rounded_quotients(_mm512_maskz_loadu_ps(mask, x + i), s, inverse, bound);
    const __m512i shifted = _mm512_max_epi32(_mm512_add_epi32(q, zero32), _mm512_setzero_si512());
    _mm_mask_storeu_epi8(out + i, mask, _mm512_cvtusepi32_epi8(shifted));
  }
}

#include "vector-template.h"
#pragma clang attribute pop
#endif
