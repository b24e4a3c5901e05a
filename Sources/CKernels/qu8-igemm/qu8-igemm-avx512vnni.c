#if defined(__x86_64__)
#include "../tail-avx512.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))),             \
                             apply_to = function)

// Bytes of weights to fetch ahead of their use; the hardware does so only up to the end of a page.
#define PREFETCH 4096

// Stores row `r` of the 4 / NV rows that 64 bytes hold.
QK_INLINE void store_row(const size_t NV, const size_t r, __m512i bytes, __mmask64 mask, void *out) {
  if (NV >= 3) {
    _mm512_mask_storeu_epi8(out, mask, bytes);
  } else if (NV == 2) {
    _mm256_mask_storeu_epi8(out, (__mmask32)mask,
                            r == 0 ? _mm512_castsi512_si256(bytes) : _mm512_extracti64x4_epi64(bytes, 1));
  } else {
    const __m256i half = r < 2 ? _mm512_castsi512_si256(bytes) : _mm512_extracti64x4_epi64(bytes, 1);
    _mm_mask_storeu_epi8(out, (__mmask16)mask,
                         r % 2 == 0 ? _mm256_castsi256_si128(half) : _mm256_extracti128_si256(half, 1));
  }
}

// Requantizes and stores rows of NV vectors of sums, 64 bytes at once: 4, 2, 1 or 1 rows.
QK_INLINE void store_bytes(const size_t NV, size_t rows, size_t cols, const __m512i *sums, char *out,
                           size_t out_stride, const struct qk_tail *tail) {
  const struct qk_requantize64 to = qk_requantize64(tail);
  // 4 columns of vector j come from lane `lane` of the bytes, double word j, and belong to double word 4 * j + lane.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __mmask64 mask = qk_mask64(cols);
  const size_t PER = NV < 3 ? 4 / NV : 1;
  __m512 scale[4];
  QK_UNROLL for (size_t j = 0; j < NV; j++) scale[j] = _mm512_loadu_ps(tail->scale + j * 16);
  for (size_t i = 0; i < rows; i += PER, sums += NV * PER) {
    __m512i v[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    QK_UNROLL for (size_t s = 0; s < NV * PER; s++) v[s] = qk_scaled16(sums[s], scale[s % NV], &to);
    const __m512i bytes = _mm512_permutexvar_epi32(order, qk_bytes64(v[0], v[1], v[2], v[3], &to));
    QK_UNROLL for (size_t r = 0; r < PER; r++, out += out_stride) {
      if (i + r < rows) store_row(NV, r, bytes, mask, out);
    }
  }
}

// Turns rows of NV vectors of sums into floats.
QK_INLINE void store_floats(const size_t NV, size_t rows, size_t cols, const __m512i *sums, char *out,
                            size_t out_stride, const struct qk_tail *tail) {
  const __m512 lo = _mm512_set1_ps(tail->lo), hi = _mm512_set1_ps(tail->hi);
  __m512 scale[4], bias[4];
  __mmask16 mask[4];
  QK_UNROLL for (size_t j = 0; j < NV; j++) {
    scale[j] = _mm512_loadu_ps(tail->scale + j * 16);
    bias[j] = _mm512_loadu_ps(tail->bias + j * 16);
    mask[j] = cols > j * 16 ? qk_mask16(cols - j * 16) : 0;
  }
  for (size_t i = 0; i < rows; i++, sums += NV, out += out_stride) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) {
      _mm512_mask_storeu_ps(out + j * 64, mask[j], qk_dequantized16(sums[j], scale[j], bias[j], lo, hi));
    }
  }
}

// Turns rows of NV vectors of bare sums into floats by parameters per row.
QK_INLINE void store_rows(const size_t NV, size_t rows, size_t cols, const __m512i *sums, char *out, size_t out_stride,
                          const struct qk_tail *tail) {
  __m512i start[4];
  __m512 scale[4], bias[4];
  __mmask16 mask[4];
  QK_UNROLL for (size_t j = 0; j < NV; j++) {
    start[j] = _mm512_loadu_si512(tail->start + j * 16);
    scale[j] = _mm512_loadu_ps(tail->scale + j * 16);
    bias[j] = _mm512_loadu_ps(tail->bias + j * 16);
    mask[j] = cols > j * 16 ? qk_mask16(cols - j * 16) : 0;
  }
  const float *row_scale = tail->row_scale;
  const uint8_t *row_zero_point = tail->row_zero_point;
  for (size_t i = 0; i < rows; i++, sums += NV, out += out_stride) {
    const __m512i zero_point = _mm512_set1_epi32(row_zero_point[i]);
    const __m512 factor = _mm512_set1_ps(row_scale[i]);
    QK_UNROLL for (size_t j = 0; j < NV; j++) {
      const __m512i sum = _mm512_sub_epi32(sums[j], _mm512_mullo_epi32(zero_point, start[j]));
      const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(factor, scale[j]));
      _mm512_mask_storeu_ps(out + j * 64, mask[j], _mm512_add_ps(product, bias[j]));
    }
  }
}

// MR rows times NV vectors of 16 columns, 4 steps of depth at a time; NV loads of weights and MR broadcasts of 4
// bytes feed MR * NV dot products. 6x64, 8x48 and 12x32 hold 24 sums in 32 registers.
QK_INLINE void igemm(const size_t MR, const size_t NV, size_t rows, size_t cols, size_t kc, size_t taps,
                     const void *const *a, const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  const int8_t *b = w;
  __m512i acc[12][4];
  QK_UNROLL for (size_t j = 0; j < NV; j++) {
    acc[0][j] = tail->kind == QK_TAIL_ROWS ? _mm512_setzero_si512() : _mm512_loadu_si512(tail->start + j * 16);
    QK_UNROLL for (size_t i = 1; i < MR; i++) acc[i][j] = acc[0][j];
  }
  for (size_t t = 0; t < taps; t++, a += MR) {
    const uint8_t *x[12];
    QK_UNROLL for (size_t i = 0; i < MR; i++) x[i] = a[i];
    for (size_t k = 0; k < kc; k += 4, b += NV * 64) {
      __m512i v[4];
      QK_UNROLL for (size_t j = 0; j < NV; j++) {
        _mm_prefetch((const char *)b + PREFETCH + j * 64, _MM_HINT_T0);
        v[j] = _mm512_load_si512(b + j * 64);
      }
      QK_UNROLL for (size_t i = 0; i < MR; i++) {
        int32_t four;
        memcpy(&four, x[i] + k, 4);
        const __m512i s = _mm512_set1_epi32(four);
        QK_UNROLL for (size_t j = 0; j < NV; j++) acc[i][j] = _mm512_dpbusd_epi32(acc[i][j], s, v[j]);
      }
    }
  }
  __m512i sums[12 * 4]; // in memory, for a loop over the rows there are
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) sums[i * NV + j] = acc[i][j];
  }
  if (tail->kind == QK_TAIL_REQUANTIZE) {
    store_bytes(NV, rows, cols, sums, out, out_stride, tail);
    return;
  }
  if (tail->kind == QK_TAIL_DEQUANTIZE) {
    store_floats(NV, rows, cols, sums, out, out_stride, tail);
    return;
  }
  if (tail->kind == QK_TAIL_ROWS) {
    store_rows(NV, rows, cols, sums, out, out_stride, tail);
    return;
  }
  const struct qk_tail copy = *tail; // which stores to the output cannot change
  for (size_t i = 0; i < rows; i++, out = (char *)out + out_stride) {
    for (size_t j = 0; j * 16 < cols; j++) qk_finish16(sums[i * NV + j], j * 16, qk_mask16(cols - j * 16), out, &copy);
  }
}

#define QK_DEFINE(MR, NR)                                                                                              \
  void qk_qu8_qc8w_igemm_ukernel_##MR##x##NR##__avx512vnni(size_t rows, size_t cols, size_t kc, size_t taps,           \
                                                           const void *const *a, const void *w, void *out,             \
                                                           size_t out_stride, const struct qk_tail *tail) {            \
    igemm(MR, NR / 16, rows, cols, kc, taps, a, w, out, out_stride, tail);                                             \
  }

QK_DEFINE(1, 16)
QK_DEFINE(6, 16)
QK_DEFINE(12, 16)
QK_DEFINE(1, 32)
QK_DEFINE(6, 32)
QK_DEFINE(12, 32)
QK_DEFINE(1, 48)
QK_DEFINE(4, 48)
QK_DEFINE(8, 48)
QK_DEFINE(1, 64)
QK_DEFINE(3, 64)
QK_DEFINE(6, 64)

#pragma clang attribute pop
#endif
