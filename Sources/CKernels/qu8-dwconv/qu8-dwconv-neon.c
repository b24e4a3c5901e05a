#if defined(__aarch64__)
#include "../tail-neon.h"
#include "../ukernels.h"

// Adds the products of 8 channels of one tap.
QK_INLINE void add_products(int32x4_t *acc, const uint8_t *x, int16x8_t w) {
  const int16x8_t v = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(x)));
  acc[0] = vmlal_s16(acc[0], vget_low_s16(v), vget_low_s16(w));
  acc[1] = vmlal_high_s16(acc[1], v, w);
}

// 32 channels of one pixel at a time, widened to 16 bits; the weights of two taps are loaded apart from their pairs.
void qk_qu8_qc8w_dwconv_ukernel_32c__neon(size_t pixels, size_t channels, size_t taps, const void *const *a,
                                          const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  for (size_t i = 0; i < pixels; i++, a += taps) {
    const int16_t *b = w;
    for (size_t c = 0; c < channels; c += 32) {
      int32x4_t acc[8];
      QK_UNROLL for (size_t j = 0; j < 8; j++) acc[j] = vdupq_n_s32(0);
      for (size_t t = 0; t < taps; t += 2, b += 64) {
        const uint8_t *x = (const uint8_t *)a[t] + c, *y = t + 1 < taps ? (const uint8_t *)a[t + 1] + c : x;
        QK_UNROLL for (size_t j = 0; j < 4; j++) {
          const int16x8x2_t pair = vld2q_s16(b + j * 16);
          add_products(acc + 2 * j, x + j * 8, pair.val[0]);
          add_products(acc + 2 * j, y + j * 8, pair.val[1]);
        }
      }
      int32x4_t sums[8];
      QK_UNROLL for (size_t j = 0; j < 8; j++) sums[j] = acc[j];
      for (size_t j = 0; j < 8 && c + j * 4 < channels; j++) {
        qk_tail4(sums[j], c + j * 4, channels - c - j * 4, (char *)out + i * out_stride, tail);
      }
    }
  }
}
#endif
