#if defined(__aarch64__)
#include "../tail-neon.h"
#include "../ukernels.h"

// NV vectors of 4 channels of one pixel from channel c on.
QK_INLINE void block(const size_t NV, size_t c, size_t channels, size_t taps, const void *const *a, const float *w,
                     float *row, const struct qk_tail *tail) {
  float32x4_t acc[4];
  QK_UNROLL for (size_t j = 0; j < NV; j++) acc[j] = vdupq_n_f32(0.0f);
  for (size_t t = 0; t < taps; t++) {
    const float *x = (const float *)a[t] + c, *b = w + t * channels + c;
    QK_UNROLL for (size_t j = 0; j < NV; j++) acc[j] = vfmaq_f32(acc[j], vld1q_f32(x + j * 4), vld1q_f32(b + j * 4));
  }
  const float32x4_t lo = vdupq_n_f32(tail->lo), hi = vdupq_n_f32(tail->hi);
  QK_UNROLL for (size_t j = 0; j < NV; j++) {
    vst1q_f32(row + c + j * 4, qk_clamp4(vaddq_f32(acc[j], vld1q_f32(tail->bias + c + j * 4)), lo, hi));
  }
}

// 16 channels of one pixel at a time, then 4, then one.
void qk_f32_dwconv_ukernel_16c__neon(size_t pixels, size_t channels, size_t taps, const void *const *a, const void *w,
                                     void *out, size_t out_stride, const struct qk_tail *tail) {
  for (size_t i = 0; i < pixels; i++, a += taps) {
    float *row = (float *)(void *)((char *)out + i * out_stride);
    size_t c = 0;
    for (; c + 16 <= channels; c += 16) block(4, c, channels, taps, a, w, row, tail);
    for (; c + 4 <= channels; c += 4) block(1, c, channels, taps, a, w, row, tail);
    for (; c < channels; c++) {
      float acc = 0.0f;
      for (size_t t = 0; t < taps; t++) {
        acc = __builtin_fmaf(((const float *)a[t])[c], ((const float *)w)[t * channels + c], acc);
      }
      row[c] = qk_clamp(acc + tail->bias[c], tail->lo, tail->hi);
    }
  }
}
#endif
