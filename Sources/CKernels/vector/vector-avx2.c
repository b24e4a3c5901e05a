#if defined(__x86_64__)
#include "../common.h"

#include <immintrin.h>

#define QK_VECTOR_NAME "avx2"
#define QK_VECTOR_ISA QK_ISA_AVX2
#define QK_VECTOR_TABLE qk_vector_ops__avx2
#define QK_VECTOR_TABLE_U8 table_u8

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

// Both halves of the table as 8 rows of 16 entries. Row i is stored as its difference (xor) from row i - 1 of its half:
// a byte shuffle gives 0 where x - 16 i is negative, so the rows up to that of x add up to its entry.
static void table_u8(size_t n, const uint8_t *x, uint8_t *out, const uint8_t *table) {
  __m256i rows[16];
  __m128i before = _mm_setzero_si128();
  for (size_t i = 0; i < 16; i++) {
    const __m128i row = _mm_loadu_si128((const __m128i *)(const void *)(table + i * 16));
    rows[i] = _mm256_broadcastsi128_si256(i == 8 ? row : _mm_xor_si128(row, before));
    before = row;
  }
  const __m256i step = _mm256_set1_epi8(16), half = _mm256_set1_epi8(-128);
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(x + i)), high = _mm256_xor_si256(low, half);
    __m256i y = _mm256_xor_si256(_mm256_shuffle_epi8(rows[0], low), _mm256_shuffle_epi8(rows[8], high));
    QK_UNROLL for (size_t r = 1; r < 8; r++) {
      low = _mm256_subs_epi8(low, step);
      high = _mm256_subs_epi8(high, step);
      y = _mm256_xor_si256(y, _mm256_shuffle_epi8(rows[r], low));
      y = _mm256_xor_si256(y, _mm256_shuffle_epi8(rows[r + 8], high));
    }
    _mm256_storeu_si256((__m256i *)(void *)(out + i), y);
  }
  for (; i < n; i++) out[i] = table[x[i]];
}

#include "vector-template.h"
#pragma clang attribute pop
#endif
