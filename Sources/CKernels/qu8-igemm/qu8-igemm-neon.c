#if defined(__aarch64__)
#include "../tail-neon.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

// The signed bytes x - 128 of 16 (or 4) bytes x.
QK_INLINE int8x16_t shifted16(const uint8_t *x) { return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x), vdupq_n_u8(128))); }
QK_INLINE int8x16_t shifted4(const uint8_t *x) {
  uint32_t four;
  memcpy(&four, x, 4);
  return vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_u32(vdupq_n_u32(four)), vdupq_n_u8(128)));
}

// One step of depth: NV vectors of weights and their products with -128, which make up for the shift of the rows.
#define QK_STEP(LANE)                                                                                                  \
  {                                                                                                                    \
    QK_UNROLL for (size_t j = 0; j < NV; j++) {                                                                        \
      const int8x16_t v = vld1q_s8(b + j * 16);                                                                        \
      low[j] = vdotq_s32(low[j], v, least);                                                                            \
      QK_UNROLL for (size_t i = 0; i < MR; i++) acc[i][j] = vdotq_laneq_s32(acc[i][j], v, s[i], LANE);                 \
    }                                                                                                                  \
    b += NV * 16;                                                                                                      \
  }

// MR rows times NV vectors of 4 columns, 16 and then 4 steps of depth at a time. The signed dot product takes x - 128
// for the bytes x of a row. 8x8 holds 16 sums, 2 corrections and 8 rows, 4x16 as many sums and 4 rows, in 32 registers.
QK_INLINE void igemm(const size_t MR, const size_t NV, size_t rows, size_t cols, size_t kc, size_t taps,
                     const void *const *a, const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const int8_t *b = w;
  const int8x16_t least = vdupq_n_s8(-128);
  int32x4_t acc[8][4], low[4];
  QK_UNROLL for (size_t j = 0; j < NV; j++) {
    low[j] = vdupq_n_s32(0);
    QK_UNROLL for (size_t i = 0; i < MR; i++) acc[i][j] = vdupq_n_s32(0);
  }
  for (size_t t = 0; t < taps; t++, a += MR) {
    const uint8_t *x[8];
    QK_UNROLL for (size_t i = 0; i < MR; i++) x[i] = a[i];
    size_t k = 0;
    for (; k + 16 <= kc; k += 16) {
      int8x16_t s[8];
      QK_UNROLL for (size_t i = 0; i < MR; i++) s[i] = shifted16(x[i] + k);
      QK_STEP(0)
      QK_STEP(1)
      QK_STEP(2)
      QK_STEP(3)
    }
    for (; k < kc; k += 4) {
      int8x16_t s[8];
      QK_UNROLL for (size_t i = 0; i < MR; i++) s[i] = shifted4(x[i] + k);
      QK_STEP(0)
    }
  }
  int32x4_t sums[8][4];
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) sums[i][j] = vsubq_s32(acc[i][j], low[j]);
  }
  const struct qk_tail constant = *tail; // which stores through `out` cannot change
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j * 4 < cols; j++) {
      qk_tail4(sums[i][j], j * 4, cols - j * 4, (char *)out + i * out_stride, &constant);
    }
  }
  qk_finish_rows(rows, cols, out, out_stride, &constant);
}

#define QK_DEFINE(MR, NR)                                                                                              \
  void qk_qu8_qc8w_igemm_ukernel_##MR##x##NR##__neon(size_t rows, size_t cols, size_t kc, size_t taps,                 \
                                                     const void *const *a, const void *w, void *out,                   \
                                                     size_t out_stride, const struct qk_tail *tail) {                  \
    igemm(MR, NR / 4, rows, cols, kc, taps, a, w, out, out_stride, tail);                                              \
  }

QK_DEFINE(1, 8)
QK_DEFINE(4, 8)
QK_DEFINE(8, 8)
QK_DEFINE(1, 16)
QK_DEFINE(4, 16)

#pragma clang attribute pop
#endif
