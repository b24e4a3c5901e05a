#include "../common.h"
#include "../ukernels.h"

// 32 channels of one pixel at a time; weights are 16 bits, those of two taps side by side.
void qk_qu8_qc8w_dwconv_ukernel_32c__portable(size_t pixels, size_t channels, size_t taps, const void *const *a,
                                              const void *w, void *out, size_t out_stride,
                                              const struct qk_tail *tail) {
  for (size_t i = 0; i < pixels; i++, a += taps) {
    const int16_t *b = w;
    for (size_t c = 0; c < channels; c += 32) {
      const size_t count = qk_min(32, channels - c);
      int32_t acc[32] = {0};
      for (size_t t = 0; t < taps; t++) {
        const uint8_t *x = (const uint8_t *)a[t] + c;
        const int16_t *pair = b + t / 2 * 64 + t % 2;
        for (size_t j = 0; j < count; j++) acc[j] += (int32_t)x[j] * pair[j * 2];
      }
      b += (taps + 1) / 2 * 64;
      for (size_t j = 0; j < count; j++) qk_tail1(acc[j], c + j, (char *)out + i * out_stride, tail);
    }
  }
}
