#if defined(__x86_64__)
#include "../tail-avx2.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

QK_INLINE __m256i pairs(const uint8_t *x, const uint8_t *y) {
  const __m128i a = _mm_loadl_epi64((const __m128i *)x), b = _mm_loadl_epi64((const __m128i *)y);
  return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
}

// 32 channels of one pixel at a time; two taps of 8 channels are interleaved and widened for one multiply-add.
void qk_qu8_qc8w_dwconv_ukernel_32c__avx2(size_t pixels, size_t channels, size_t taps, const void *const *a,
                                          const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  for (size_t i = 0; i < pixels; i++, a += taps) {
    const __m256i *b = w;
    for (size_t c = 0; c < channels; c += 32) {
      __m256i acc[4];
      QK_UNROLL for (size_t j = 0; j < 4; j++) acc[j] = _mm256_setzero_si256();
      for (size_t t = 0; t < taps; t += 2, b += 4) {
        const uint8_t *x = (const uint8_t *)a[t] + c, *y = t + 1 < taps ? (const uint8_t *)a[t + 1] + c : x;
        QK_UNROLL for (size_t j = 0; j < 4; j++) {
          const __m256i product = _mm256_madd_epi16(pairs(x + j * 8, y + j * 8), _mm256_load_si256(b + j));
          acc[j] = _mm256_add_epi32(acc[j], product);
        }
      }
      __m256i sums[4];
      QK_UNROLL for (size_t j = 0; j < 4; j++) sums[j] = acc[j];
      for (size_t j = 0; j < 4 && c + j * 8 < channels; j++) {
        qk_tail8(sums[j], c + j * 8, channels - c - j * 8, (char *)out + i * out_stride, tail);
      }
    }
  }
}

#pragma clang attribute pop
#endif
