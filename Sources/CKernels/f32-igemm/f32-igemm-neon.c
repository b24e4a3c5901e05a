#if defined(__aarch64__)
#include "../tail-neon.h"
#include "../ukernels.h"

// One step of depth: NV vectors of weights times one lane of each row.
#define QK_STEP(LANE)                                                                                                  \
  {                                                                                                                    \
    QK_UNROLL for (size_t j = 0; j < NV; j++) {                                                                        \
      const float32x4_t v = vld1q_f32(b + j * 4);                                                                      \
      QK_UNROLL for (size_t i = 0; i < MR; i++) acc[i][j] = vfmaq_laneq_f32(acc[i][j], v, s[i], LANE);                 \
    }                                                                                                                  \
    b += NV * 4;                                                                                                       \
  }

// MR rows times NV vectors of 4 columns, 4 steps of depth and then one at a time. 8x8 and 4x16 hold 16 sums, 8 or 4
// vectors of rows and 1 of weights in 32 registers.
QK_INLINE void igemm(const size_t MR, const size_t NV, size_t rows, size_t cols, size_t kc, size_t taps,
                     const void *const *a, const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const float *b = w;
  float32x4_t acc[8][4];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) acc[i][j] = vdupq_n_f32(0.0f);
  }
  for (size_t t = 0; t < taps; t++, a += MR) {
    const float *x[8];
    QK_UNROLL for (size_t i = 0; i < MR; i++) x[i] = a[i];
    size_t k = 0;
    for (; k + 4 <= kc; k += 4) {
      float32x4_t s[8];
      QK_UNROLL for (size_t i = 0; i < MR; i++) s[i] = vld1q_f32(x[i] + k);
      QK_STEP(0)
      QK_STEP(1)
      QK_STEP(2)
      QK_STEP(3)
    }
    for (; k < kc; k++) {
      float32x4_t s[8];
      QK_UNROLL for (size_t i = 0; i < MR; i++) s[i] = vdupq_n_f32(x[i][k]);
      QK_STEP(0)
    }
  }
  float32x4_t sums[8][4];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) sums[i][j] = acc[i][j];
  }
  const float32x4_t lo = vdupq_n_f32(tail->lo), hi = vdupq_n_f32(tail->hi);
  for (size_t i = 0; i < rows; i++) {
    float *row = (float *)(void *)((char *)out + i * out_stride);
    for (size_t j = 0; j * 4 < cols; j++) {
      float rest[4];
      vst1q_f32(rest, qk_clamp4(vaddq_f32(sums[i][j], vld1q_f32(tail->bias + j * 4)), lo, hi));
      qk_store4(row + j * 4, rest, cols - j * 4, sizeof(float));
    }
  }
}

#define QK_DEFINE(MR, NR)                                                                                              \
  void qk_f32_igemm_ukernel_##MR##x##NR##__neon(size_t rows, size_t cols, size_t kc, size_t taps,                      \
                                                const void *const *a, const void *w, void *out, size_t out_stride,     \
                                                const struct qk_tail *tail) {                                          \
    igemm(MR, NR / 4, rows, cols, kc, taps, a, w, out, out_stride, tail);                                              \
  }

QK_DEFINE(1, 8)
QK_DEFINE(4, 8)
QK_DEFINE(8, 8)
QK_DEFINE(1, 16)
QK_DEFINE(4, 16)
#endif
