#include "../common.h"
#include "../ukernels.h"

// MR rows times 8 columns, one step of depth at a time; sums in an array the compiler keeps in registers.
QK_INLINE void igemm(const size_t MR, size_t rows, size_t cols, size_t kc, size_t taps, const void *const *a,
                     const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const float *b = w;
  float acc[4][8] = {{0}};
  for (size_t t = 0; t < taps; t++, a += MR) {
    for (size_t k = 0; k < kc; k++, b += 8) {
      for (size_t i = 0; i < MR; i++) {
        const float x = ((const float *)a[i])[k];
        for (size_t j = 0; j < 8; j++) acc[i][j] += x * b[j];
      }
    }
  }
  for (size_t i = 0; i < rows; i++) {
    float *row = (float *)((char *)out + i * out_stride);
    for (size_t j = 0; j < cols; j++) row[j] = qk_clamp(acc[i][j] + tail->bias[j], tail->lo, tail->hi);
  }
}

#define QK_DEFINE(MR)                                                                                                  \
  void qk_f32_igemm_ukernel_##MR##x8__portable(size_t rows, size_t cols, size_t kc, size_t taps, const void *const *a, \
                                               const void *w, void *out, size_t out_stride,                            \
                                               const struct qk_tail *tail) {                                           \
    igemm(MR, rows, cols, kc, taps, a, w, out, out_stride, tail);                                                      \
  }

QK_DEFINE(1)
QK_DEFINE(4)
