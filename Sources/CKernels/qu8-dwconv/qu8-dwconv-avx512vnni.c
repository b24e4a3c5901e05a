#if defined(__x86_64__)
#include "../tail-avx512.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))),             \
                             apply_to = function)

QK_INLINE __m512i widened(const uint8_t *x) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)x)); }

// The bytes of two taps as the low and high words of 16 channels.
QK_INLINE __m512i pairs(const uint8_t *x, const uint8_t *y) {
  return _mm512_or_si512(widened(x), _mm512_slli_epi32(widened(y), 16));
}

// 32 channels of one pixel at a time; two taps of 16 channels make one dot product.
void qk_qu8_qc8w_dwconv_ukernel_32c__avx512vnni(size_t pixels, size_t channels, size_t taps, const void *const *a,
                                                const void *w, void *out, size_t out_stride,
                                                const struct qk_tail *tail) {
  for (size_t i = 0; i < pixels; i++, a += taps) {
    const int16_t *b = w;
    for (size_t c = 0; c < channels; c += 32) {
      __m512i acc0 = _mm512_setzero_si512(), acc1 = _mm512_setzero_si512();
      size_t t = 0;
      for (; t + 2 <= taps; t += 2, b += 64) {
        const uint8_t *x = (const uint8_t *)a[t] + c, *y = (const uint8_t *)a[t + 1] + c;
        acc0 = _mm512_dpwssd_epi32(acc0, pairs(x, y), _mm512_load_si512(b));
        acc1 = _mm512_dpwssd_epi32(acc1, pairs(x + 16, y + 16), _mm512_load_si512(b + 32));
      }
      if (t < taps) {
        const uint8_t *x = (const uint8_t *)a[t] + c;
        acc0 = _mm512_dpwssd_epi32(acc0, widened(x), _mm512_load_si512(b));
        acc1 = _mm512_dpwssd_epi32(acc1, widened(x + 16), _mm512_load_si512(b + 32));
        b += 64;
      }
      void *row = (char *)out + i * out_stride;
      const size_t left = channels - c;
      qk_tail16(acc0, c, qk_mask16(left), row, tail);
      if (left > 16) qk_tail16(acc1, c + 16, qk_mask16(left - 16), row, tail);
    }
  }
}

#pragma clang attribute pop
#endif
