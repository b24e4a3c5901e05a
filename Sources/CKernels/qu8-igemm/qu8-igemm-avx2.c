#if defined(__x86_64__)
#include "../tail-avx2.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

// MR rows times 8 columns, 4 steps of depth at a time, widened to 16 bits so that nothing saturates.
// A sum register holds the even and odd half sums of 4 columns; they are joined once at the end.
// 6x8 holds 12 sums, 2 vectors of weights and 1 broadcast in 16 registers.
QK_INLINE void igemm(const size_t MR, size_t rows, size_t cols, size_t kc, size_t taps, const void *const *a,
                     const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const int8_t *b = w;
  __m256i acc[6][2];
  QK_UNROLL for (size_t i = 0; i < MR; i++) acc[i][0] = acc[i][1] = _mm256_setzero_si256();
  for (size_t t = 0; t < taps; t++, a += MR) {
    const uint8_t *x[6];
    QK_UNROLL for (size_t i = 0; i < MR; i++) x[i] = a[i];
    for (size_t k = 0; k < kc; k += 4, b += 32) {
      const __m256i b0 = _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)b));
      const __m256i b1 = _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(b + 16)));
      QK_UNROLL for (size_t i = 0; i < MR; i++) {
        int32_t four;
        memcpy(&four, x[i] + k, 4);
        const __m256i v = _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
        acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(v, b0));
        acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(v, b1));
      }
    }
  }
  __m256i sums[6];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    sums[i] = _mm256_permute4x64_epi64(_mm256_hadd_epi32(acc[i][0], acc[i][1]), 0xD8);
  }
  for (size_t i = 0; i < rows; i++) qk_tail8(sums[i], 0, cols, (char *)out + i * out_stride, tail);
  qk_finish_rows(rows, cols, out, out_stride, tail);
}

#define QK_DEFINE(MR)                                                                                                  \
  void qk_qu8_qc8w_igemm_ukernel_##MR##x8__avx2(size_t rows, size_t cols, size_t kc, size_t taps,                      \
                                                const void *const *a, const void *w, void *out, size_t out_stride,     \
                                                const struct qk_tail *tail) {                                          \
    igemm(MR, rows, cols, kc, taps, a, w, out, out_stride, tail);                                                      \
  }

QK_DEFINE(1)
QK_DEFINE(3)
QK_DEFINE(6)

#pragma clang attribute pop
#endif
