#if defined(__x86_64__)
#include "../common.h"
#include "../ukernels.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

QK_INLINE __m256i mask8(size_t count) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)qk_min(count, 8)), index);
}

// 16 channels of one pixel at a time, the last ones masked.
void qk_f32_dwconv_ukernel_16c__avx2(size_t pixels, size_t channels, size_t taps, const void *const *a, const void *w,
                                     void *out, size_t out_stride, const struct qk_tail *tail) {
  const __m256 lo = _mm256_set1_ps(tail->lo), hi = _mm256_set1_ps(tail->hi);
  for (size_t i = 0; i < pixels; i++, a += taps) {
    float *row = (float *)((char *)out + i * out_stride);
    for (size_t c = 0; c < channels; c += 16) {
      const __m256i m0 = mask8(channels - c), m1 = mask8(channels - c < 8 ? 0 : channels - c - 8);
      __m256 acc0 = _mm256_setzero_ps(), acc1 = _mm256_setzero_ps();
      for (size_t t = 0; t < taps; t++) {
        const float *x = (const float *)a[t] + c, *b = (const float *)w + t * channels + c;
        acc0 = _mm256_fmadd_ps(_mm256_maskload_ps(x, m0), _mm256_maskload_ps(b, m0), acc0);
        acc1 = _mm256_fmadd_ps(_mm256_maskload_ps(x + 8, m1), _mm256_maskload_ps(b + 8, m1), acc1);
      }
      acc0 = _mm256_add_ps(acc0, _mm256_maskload_ps(tail->bias + c, m0));
      acc1 = _mm256_add_ps(acc1, _mm256_maskload_ps(tail->bias + c + 8, m1));
      _mm256_maskstore_ps(row + c, m0, _mm256_min_ps(hi, _mm256_max_ps(lo, acc0)));
      _mm256_maskstore_ps(row + c + 8, m1, _mm256_min_ps(hi, _mm256_max_ps(lo, acc1)));
    }
  }
}

#pragma clang attribute pop
#endif
