#if defined(__x86_64__)
#include "../tail-avx512.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))),             \
                             apply_to = function)

// MR rows times NV vectors of 16 columns, 4 steps of depth at a time; NV loads of weights and MR broadcasts of 4
// bytes feed MR * NV dot products. 6x64, 8x48 and 12x32 hold 24 sums in 32 registers.
QK_INLINE void igemm(const size_t MR, const size_t NV, size_t rows, size_t cols, size_t kc, size_t taps,
                     const void *const *a, const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const int8_t *b = w;
  __m512i acc[12][4];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) acc[i][j] = _mm512_setzero_si512();
  }
  for (size_t t = 0; t < taps; t++, a += MR) {
    const uint8_t *x[12];
    QK_UNROLL for (size_t i = 0; i < MR; i++) x[i] = a[i];
    for (size_t k = 0; k < kc; k += 4, b += NV * 64) {
      __m512i v[4];
      QK_UNROLL for (size_t j = 0; j < NV; j++) v[j] = _mm512_load_si512(b + j * 64);
      QK_UNROLL for (size_t i = 0; i < MR; i++) {
        int32_t four;
        memcpy(&four, x[i] + k, 4);
        const __m512i s = _mm512_set1_epi32(four);
        QK_UNROLL for (size_t j = 0; j < NV; j++) acc[i][j] = _mm512_dpbusd_epi32(acc[i][j], s, v[j]);
      }
    }
  }
  __m512i sums[12][4];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) sums[i][j] = acc[i][j];
  }
  for (size_t j = 0; j * 16 < cols; j++) {
    const __mmask16 mask = qk_mask16(cols - j * 16);
    for (size_t i = 0; i < rows; i++) qk_tail16(sums[i][j], j * 16, mask, (char *)out + i * out_stride, tail);
  }
}

#define QK_DEFINE(MR, NR)                                                                                              \
  void qk_qu8_qc8w_igemm_ukernel_##MR##x##NR##__avx512vnni(size_t rows, size_t cols, size_t kc, size_t taps,           \
                                                           const void *const *a, const void *w, void *out,             \
                                                           size_t out_stride, const struct qk_tail *tail) {            \
    igemm(MR, NR / 16, rows, cols, kc, taps, a, w, out, out_stride, tail);                                             \
  }

QK_DEFINE(1, 16)
QK_DEFINE(6, 16)
QK_DEFINE(12, 16)
QK_DEFINE(1, 32)
QK_DEFINE(6, 32)
QK_DEFINE(12, 32)
QK_DEFINE(1, 48)
QK_DEFINE(4, 48)
QK_DEFINE(8, 48)
QK_DEFINE(1, 64)
QK_DEFINE(3, 64)
QK_DEFINE(6, 64)

#pragma clang attribute pop
#endif
