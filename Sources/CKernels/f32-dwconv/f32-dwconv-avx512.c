#if defined(__x86_64__)
#include "../tail-avx512.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))),             \
                             apply_to = function)

// 32 channels of one pixel at a time, the last ones masked.
void qk_f32_dwconv_ukernel_32c__avx512(size_t pixels, size_t channels, size_t taps, const void *const *a,
                                       const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const __m512 lo = _mm512_set1_ps(tail->lo), hi = _mm512_set1_ps(tail->hi);
  for (size_t i = 0; i < pixels; i++, a += taps) {
    float *row = (float *)((char *)out + i * out_stride);
    for (size_t c = 0; c < channels; c += 32) {
      const size_t left = channels - c;
      const __mmask16 m0 = qk_mask16(left), m1 = left <= 16 ? 0 : qk_mask16(left - 16);
      __m512 acc0 = _mm512_setzero_ps(), acc1 = _mm512_setzero_ps();
      for (size_t t = 0; t < taps; t++) {
        const float *x = (const float *)a[t] + c, *b = (const float *)w + t * channels + c;
        acc0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m0, x), _mm512_maskz_loadu_ps(m0, b), acc0);
        acc1 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m1, x + 16), _mm512_maskz_loadu_ps(m1, b + 16), acc1);
      }
      acc0 = _mm512_add_ps(acc0, _mm512_maskz_loadu_ps(m0, tail->bias + c));
      acc1 = _mm512_add_ps(acc1, _mm512_maskz_loadu_ps(m1, tail->bias + c + 16));
      _mm512_mask_storeu_ps(row + c, m0, _mm512_min_ps(hi, _mm512_max_ps(lo, acc0)));
      _mm512_mask_storeu_ps(row + c + 16, m1, _mm512_min_ps(hi, _mm512_max_ps(lo, acc1)));
    }
  }
}

#pragma clang attribute pop
#endif
