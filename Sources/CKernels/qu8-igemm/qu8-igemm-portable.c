#include "../common.h"
#include "../ukernels.h"

// MR rows times 8 columns, 4 steps of depth at a time.
QK_INLINE void igemm(const size_t MR, size_t rows, size_t cols, size_t kc, size_t taps, const void *const *a,
                     const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const int8_t *b = w;
  int32_t acc[4][8] = {{0}};
  for (size_t t = 0; t < taps; t++, a += MR) {
    for (size_t k = 0; k < kc; k += 4, b += 32) {
      for (size_t i = 0; i < MR; i++) {
        const uint8_t *x = (const uint8_t *)a[i] + k;
        for (size_t j = 0; j < 8; j++) {
          for (size_t l = 0; l < 4; l++) acc[i][j] += (int32_t)x[l] * b[j * 4 + l];
        }
      }
    }
  }
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < cols; j++) qk_tail1(acc[i][j], j, (char *)out + i * out_stride, tail);
  }
  qk_finish_rows(rows, cols, out, out_stride, tail);
}

#define QK_DEFINE(MR)                                                                                                  \
  void qk_qu8_qc8w_igemm_ukernel_##MR##x8__portable(size_t rows, size_t cols, size_t kc, size_t taps,                  \
                                                    const void *const *a, const void *w, void *out,                    \
                                                    size_t out_stride, const struct qk_tail *tail) {                   \
    igemm(MR, rows, cols, kc, taps, a, w, out, out_stride, tail);                                                      \
  }

QK_DEFINE(1)
QK_DEFINE(4)
