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

// Copies sums out of the registers, for a loop over the rows there are.
QK_INLINE void in_memory(const size_t MR, const size_t NV, const __m512i (*acc)[4], __m512i (*sums)[4]) {
  QK_UNROLL for (size_t i = 0; i < MR; i++) {
    QK_UNROLL for (size_t j = 0; j < NV; j++) sums[i][j] = acc[i][j];
  }
}

// What requantizes rows of NV vectors of sums and adds to them if ADDS.
struct bytes {
  __m512 scale[4];
  struct qk_requantize64 to;
  struct qk_add16 add;
  uintptr_t addend;
  __m512i order;
  __mmask64 mask;
};

QK_INLINE struct bytes bytes(const size_t NV, const bool ADDS, size_t cols, const struct qk_tail *tail) {
  struct bytes b = {.to = qk_requantize64(tail), .addend = tail->addend, .mask = qk_mask64(cols)};
  if (ADDS) b.add = qk_add16(tail);
  QK_UNROLL for (size_t j = 0; j < NV; j++) b.scale[j] = _mm512_loadu_ps(tail->scale + j * 16);
  // 4 columns of vector j come from lane `lane` of the bytes, double word j, and belong to double word 4 * j + lane.
  b.order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __asm__("" : "+v"(b.order)); // a known order would be turned into three permutations
  return b;
}

// Stores the first `rows` of the 4, 2, 1 or 1 rows that make 64 bytes.
QK_INLINE void store_bytes(const size_t NV, const bool ADDS, size_t rows, const __m512i (*sums)[4], char *out,
                           size_t out_stride, const struct bytes *b) {
  const size_t PER = NV < 3 ? 4 / NV : 1;
  __m512i v[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
  QK_UNROLL for (size_t r = 0; r < PER; r++) {
    const size_t row = qk_min(r, rows - 1);
    const uint8_t *addends = (const uint8_t *)((uintptr_t)out + b->addend + row * out_stride);
    QK_UNROLL for (size_t j = 0; j < NV; j++) {
      v[r * NV + j] = ADDS ? qk_added16(sums[row][j], b->scale[j], addends + j * 16, &b->add)
                           : qk_scaled16(sums[row][j], b->scale[j], &b->to);
    }
  }
  const __m512i bytes = _mm512_permutexvar_epi32(b->order, qk_bytes64(v[0], v[1], v[2], v[3], &b->to));
  QK_UNROLL for (size_t r = 0; r < PER; r++, out += out_stride) {
    if (r < rows) store_row(NV, r, bytes, b->mask, out);
  }
}

// The same for all rows. Where there are MR, their sums stay in registers.
QK_INLINE void store_all_bytes(const size_t MR, const size_t NV, const bool ADDS, size_t rows, size_t cols,
                               const __m512i (*acc)[4], char *out, size_t out_stride, const struct qk_tail *tail) {
  const size_t PER = NV < 3 ? 4 / NV : 1;
  const struct bytes b = bytes(NV, ADDS, cols, tail);
  if (rows == MR) {
    QK_UNROLL for (size_t i = 0; i < MR; i += PER) {
      store_bytes(NV, ADDS, MR - i, acc + i, out + i * out_stride, out_stride, &b);
    }
    return;
  }
  __m512i sums[12][4];
  in_memory(MR, NV, acc, sums);
  for (size_t i = 0; i < rows; i += PER) {
    store_bytes(NV, ADDS, rows - i, (const __m512i(*)[4])(sums + i), out + i * out_stride, out_stride, &b);
  }
}

// What turns rows of NV vectors of sums into floats.
struct floats {
  __m512 scale[4], bias[4], lo, hi;
  __mmask16 mask[4];
};

QK_INLINE struct floats floats(const size_t NV, size_t cols, const struct qk_tail *tail) {
  struct floats f = {.lo = _mm512_set1_ps(tail->lo), .hi = _mm512_set1_ps(tail->hi)};
  QK_UNROLL for (size_t j = 0; j < NV; j++) {
    f.scale[j] = _mm512_loadu_ps(tail->scale + j * 16);
    f.bias[j] = _mm512_loadu_ps(tail->bias + j * 16);
    f.mask[j] = cols > j * 16 ? qk_mask16(cols - j * 16) : 0;
  }
  return f;
}

// Stores one row.
QK_INLINE void store_floats(const size_t NV, const __m512i *sums, char *out, const struct floats *f) {
  QK_UNROLL for (size_t j = 0; j < NV; j++) {
    const __m512 v = qk_dequantized16(sums[j], f->scale[j], f->bias[j], f->lo, f->hi);
    _mm512_mask_storeu_ps(out + j * 64, f->mask[j], v);
  }
}

// All rows. Where there are MR, their sums stay in registers.
QK_INLINE void store_all_floats(const size_t MR, const size_t NV, size_t rows, size_t cols, const __m512i (*acc)[4],
                                char *out, size_t out_stride, const struct qk_tail *tail) {
  const struct floats f = floats(NV, cols, tail);
  if (rows == MR) {
    QK_UNROLL for (size_t i = 0; i < MR; i++) store_floats(NV, acc[i], out + i * out_stride, &f);
    return;
  }
  __m512i sums[12][4];
  in_memory(MR, NV, acc, sums);
  for (size_t i = 0; i < rows; i++) store_floats(NV, sums[i], out + i * out_stride, &f);
}

// Turns rows of NV vectors of bare sums into floats by parameters per row.
QK_INLINE void store_rows(const size_t NV, size_t rows, size_t cols, const __m512i (*sums)[4], char *out,
                          size_t out_stride, const struct qk_tail *tail) {
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
  for (size_t i = 0; i < rows; i++, out += out_stride) {
    const __m512i zero_point = _mm512_set1_epi32(row_zero_point[i]);
    const __m512 factor = _mm512_set1_ps(row_scale[i]);
    QK_UNROLL for (size_t j = 0; j < NV; j++) {
      const __m512i sum = _mm512_sub_epi32(sums[i][j], _mm512_mullo_epi32(zero_point, start[j]));
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
  const __m512i(*all)[4] = (const __m512i(*)[4])acc;
  if (tail->kind == QK_TAIL_REQUANTIZE) {
    store_all_bytes(MR, NV, false, rows, cols, all, out, out_stride, tail);
    return;
  }
  if (tail->kind == QK_TAIL_ADD) {
    store_all_bytes(MR, NV, true, rows, cols, all, out, out_stride, tail);
    return;
  }
  if (tail->kind == QK_TAIL_DEQUANTIZE) {
    store_all_floats(MR, NV, rows, cols, all, out, out_stride, tail);
    return;
  }
  __m512i copies[12][4];
  in_memory(MR, NV, all, copies);
  const __m512i(*sums)[4] = (const __m512i(*)[4])copies;
  if (tail->kind == QK_TAIL_ROWS) {
    store_rows(NV, rows, cols, sums, out, out_stride, tail);
    return;
  }
  const struct qk_tail copy = *tail; // which stores to the output cannot change
  for (size_t i = 0; i < rows; i++, out = (char *)out + out_stride) {
    for (size_t j = 0; j * 16 < cols; j++) qk_finish16(sums[i][j], j * 16, qk_mask16(cols - j * 16), out, &copy);
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
