#if defined(__x86_64__)
#include "../common.h"
#include "../ukernels.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

// MR rows times 2 vectors of 8 columns; per step of depth 2 loads of weights and MR broadcasts feed 2 MR multiply-adds.
// 6x16 holds 12 sums, 2 vectors of weights and 1 broadcast in 16 registers.
QK_INLINE void igemm(const size_t MR, size_t rows, size_t cols, size_t kc, size_t taps, const void *const *a,
                     const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const float *b = w;
  __m256 acc[6][2];
  QK_UNROLL for (size_t i = 0; i < MR; i++) acc[i][0] = acc[i][1] = _mm256_setzero_ps();
  for (size_t t = 0; t < taps; t++, a += MR) {
    const float *x[6];
    QK_UNROLL for (size_t i = 0; i < MR; i++) x[i] = a[i];
    for (size_t k = 0; k < kc; k++, b += 16) {
      const __m256 b0 = _mm256_load_ps(b), b1 = _mm256_load_ps(b + 8);
      QK_UNROLL for (size_t i = 0; i < MR; i++) {
        const __m256 v = _mm256_broadcast_ss(x[i] + k);
        acc[i][0] = _mm256_fmadd_ps(v, b0, acc[i][0]);
        acc[i][1] = _mm256_fmadd_ps(v, b1, acc[i][1]);
      }
    }
  }
  __m256 sums[6][2];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < 2; j++) sums[i][j] = acc[i][j];
  }
  const __m256 lo = _mm256_set1_ps(tail->lo), hi = _mm256_set1_ps(tail->hi);
  for (size_t i = 0; i < rows; i++) {
    float *row = (float *)((char *)out + i * out_stride);
    for (size_t j = 0; j * 8 < cols; j++) {
      __m256 v = _mm256_add_ps(sums[i][j], _mm256_loadu_ps(tail->bias + j * 8));
      v = _mm256_min_ps(hi, _mm256_max_ps(lo, v));
      if (j * 8 + 8 <= cols) {
        _mm256_storeu_ps(row + j * 8, v);
      } else {
        float rest[8];
        _mm256_storeu_ps(rest, v);
        memcpy(row + j * 8, rest, (cols - j * 8) * sizeof(float));
      }
    }
  }
}

#define QK_DEFINE(MR)                                                                                                  \
  void qk_f32_igemm_ukernel_##MR##x16__avx2(size_t rows, size_t cols, size_t kc, size_t taps, const void *const *a,    \
                                            const void *w, void *out, size_t out_stride, const struct qk_tail *tail) { \
    igemm(MR, rows, cols, kc, taps, a, w, out, out_stride, tail);                                                      \
  }

QK_DEFINE(1)
QK_DEFINE(3)
QK_DEFINE(6)

#pragma clang attribute pop
#endif
