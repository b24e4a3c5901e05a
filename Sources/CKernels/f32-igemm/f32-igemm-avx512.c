#if defined(__x86_64__)
#include "../tail-avx512.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))),             \
                             apply_to = function)

// Bytes of weights to fetch ahead of their use; the hardware does so only up to the end of a page.
#define PREFETCH 4096

// MR rows times NV vectors of 16 columns; per step of depth NV loads of weights and MR broadcasts feed MR * NV
// multiply-adds. 6x64, 8x48 and 12x32 hold 24 sums in 32 registers, enough to hide a latency of 4 on two units. Whole
// blocks are stored from registers.
QK_INLINE void igemm(const size_t MR, const size_t NV, size_t rows, size_t cols, size_t kc, size_t taps,
                     const void *const *a, const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const float *b = w;
  __m512 acc[12][4];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) acc[i][j] = _mm512_setzero_ps();
  }
  for (size_t t = 0; t < taps; t++, a += MR) {
    const float *x[12];
    QK_UNROLL for (size_t i = 0; i < MR; i++) x[i] = a[i];
    for (size_t k = 0; k < kc; k++, b += NV * 16) {
      __m512 v[4];
      QK_UNROLL for (size_t j = 0; j < NV; j++) {
        _mm_prefetch((const char *)b + PREFETCH + j * 64, _MM_HINT_T0);
        v[j] = _mm512_load_ps(b + j * 16);
      }
      QK_UNROLL for (size_t i = 0; i < MR; i++) {
        const __m512 s = _mm512_set1_ps(x[i][k]);
        QK_UNROLL for (size_t j = 0; j < NV; j++) acc[i][j] = _mm512_fmadd_ps(s, v[j], acc[i][j]);
      }
    }
  }
  const __m512 lo = _mm512_set1_ps(tail->lo), hi = _mm512_set1_ps(tail->hi);
  if (rows == MR && cols == NV * 16) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) {
      const __m512 bias = _mm512_loadu_ps(tail->bias + j * 16);
      QK_UNROLL for (size_t i = 0; i < MR; i++) {
        const __m512 v = _mm512_min_ps(hi, _mm512_max_ps(lo, _mm512_add_ps(acc[i][j], bias)));
        _mm512_storeu_ps((char *)out + i * out_stride + j * 64, v);
      }
    }
    return;
  }
  __m512 sums[12][4];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) sums[i][j] = acc[i][j];
  }
  for (size_t j = 0; j * 16 < cols; j++) {
    const __mmask16 mask = qk_mask16(cols - j * 16);
    const __m512 bias = _mm512_loadu_ps(tail->bias + j * 16);
    for (size_t i = 0; i < rows; i++) {
      const __m512 v = _mm512_min_ps(hi, _mm512_max_ps(lo, _mm512_add_ps(sums[i][j], bias)));
      _mm512_mask_storeu_ps((char *)out + i * out_stride + j * 64, mask, v);
    }
  }
}

#define QK_DEFINE(MR, NR)                                                                                              \
  void qk_f32_igemm_ukernel_##MR##x##NR##__avx512(size_t rows, size_t cols, size_t kc, size_t taps,                    \
                                                  const void *const *a, const void *w, void *out, size_t out_stride,   \
                                                  const struct qk_tail *tail) {                                        \
    igemm(MR, NR / 16, rows, cols, kc, taps, a, w, out, out_stride, tail);                                             \
  }

QK_DEFINE(1, 16)
QK_DEFINE(6, 16)
QK_DEFINE(12, 16)
QK_DEFINE(1, 32)
QK_DEFINE(6, 32)
QK_DEFINE(8, 32)
QK_DEFINE(12, 32)
QK_DEFINE(1, 48)
QK_DEFINE(4, 48)
QK_DEFINE(8, 48)
QK_DEFINE(1, 64)
QK_DEFINE(3, 64)
QK_DEFINE(6, 64)

#pragma clang attribute pop
#endif
