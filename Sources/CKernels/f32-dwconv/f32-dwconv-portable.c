#include "../common.h"
#include "../ukernels.h"

// 8 channels of one pixel at a time.
void qk_f32_dwconv_ukernel_8c__portable(size_t pixels, size_t channels, size_t taps, const void *const *a,
                                        const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  for (size_t i = 0; i < pixels; i++, a += taps) {
    float *row = (float *)((char *)out + i * out_stride);
    for (size_t c = 0; c < channels; c += 8) {
      const size_t count = qk_min(8, channels - c);
      float acc[8] = {0};
      for (size_t t = 0; t < taps; t++) {
        const float *x = (const float *)a[t] + c, *b = (const float *)w + t * channels + c;
        for (size_t j = 0; j < count; j++) acc[j] += x[j] * b[j];
      }
      for (size_t j = 0; j < count; j++) row[c + j] = qk_clamp(acc[j] + tail->bias[c + j], tail->lo, tail->hi);
    }
  }
}
