#if defined(__x86_64__)
#include "../tail-avx2.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)

// MR rows times NV vectors of 8 columns, 4 steps of depth at a time; NV loads of weights and MR broadcasts of 4 bytes
// feed MR * NV dot products. 6x16 holds 12 sums, 2 vectors of weights and 1 broadcast in 16 registers.
QK_INLINE void igemm(const size_t MR, const size_t NV, size_t rows, size_t cols, size_t kc, size_t taps,
                     const void *const *a, const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const int8_t *b = w;
  __m256i acc[12][2];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) acc[i][j] = _mm256_setzero_si256();
  }
  for (size_t t = 0; t < taps; t++, a += MR) {
    const uint8_t *x[12];
    QK_UNROLL for (size_t i = 0; i < MR; i++) x[i] = a[i];
    for (size_t k = 0; k < kc; k += 4, b += NV * 32) {
      __m256i v[2];
      QK_UNROLL for (size_t j = 0; j < NV; j++) v[j] = _mm256_load_si256((const __m256i *)(b + j * 32));
      QK_UNROLL for (size_t i = 0; i < MR; i++) {
        int32_t four;
        memcpy(&four, x[i] + k, 4);
        const __m256i s = _mm256_set1_epi32(four);
        QK_UNROLL for (size_t j = 0; j < NV; j++) acc[i][j] = _mm256_dpbusd_avx_epi32(acc[i][j], s, v[j]);
      }
    }
  }
  __m256i sums[12][2];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) sums[i][j] = acc[i][j];
  }
  for (size_t j = 0; j * 8 < cols; j++) {
    for (size_t i = 0; i < rows; i++) qk_tail8(sums[i][j], j * 8, cols - j * 8, (char *)out + i * out_stride, tail);
  }
  qk_finish_rows(rows, cols, out, out_stride, tail);
}

#define QK_DEFINE(MR, NR)                                                                                              \
  void qk_qu8_qc8w_igemm_ukernel_##MR##x##NR##__avxvnni(size_t rows, size_t cols, size_t kc, size_t taps,              \
                                                        const void *const *a, const void *w, void *out,                \
                                                        size_t out_stride, const struct qk_tail *tail) {               \
    igemm(MR, NR / 8, rows, cols, kc, taps, a, w, out, out_stride, tail);                                              \
  }

QK_DEFINE(1, 8)
QK_DEFINE(6, 8)
QK_DEFINE(12, 8)
QK_DEFINE(1, 16)
QK_DEFINE(3, 16)
QK_DEFINE(6, 16)

#pragma clang attribute pop
#endif
