#include "../common.h"

#if defined(__x86_64__)
#include "../tail-avx512.h"
#include "../ukernels.h"

#pragma clang attribute push(                                                                                          \
    __attribute__((target("amx-tile,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))), apply_to = function)

// Tiles: sums 0 (upper left), 1 (upper right), 2 and 3 (lower); rows 4 (upper) and 5 (lower); weights 6 (left) and 7.
struct configuration {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

// The shape of this thread's tiles: rows * 256 + depth, or 0 without a configuration. Loading one is slow and most
// blocks have the same.
static _Thread_local size_t configured;

void qk_release_tiles(void) {
  if (configured == 0) return;
  _tile_release();
  configured = 0;
}

QK_INLINE void configure(size_t rows, size_t depth) {
  if (configured == rows * 256 + depth) return;
  const uint8_t halves[2] = {(uint8_t)qk_min(rows, 16), (uint8_t)(rows - qk_min(rows, 16))};
  struct configuration c = {.palette = 1};
  for (size_t half = 0; half < 2; half++) {
    if (halves[half] > 0) {
      c.rows[2 * half] = c.rows[2 * half + 1] = c.rows[4 + half] = halves[half];
      c.row_bytes[2 * half] = c.row_bytes[2 * half + 1] = 64;
      c.row_bytes[4 + half] = (uint16_t)depth;
    }
    c.rows[6 + half] = (uint8_t)(depth / 4);
    c.row_bytes[6 + half] = 64;
  }
  _tile_loadconfig(&c);
  configured = rows * 256 + depth;
}

// Rows of one tile: where the first lies and how far apart they are; `address` is NULL if they are not evenly spaced.
struct spaced {
  const uint8_t *address;
  size_t stride;
};

QK_INLINE __mmask8 mask8(size_t count) { return count >= 8 ? 0xFF : (__mmask8)((1u << count) - 1); }

QK_INLINE struct spaced spacing(const void *const *a, size_t rows) {
  if (rows == 1) return (struct spaced){a[0], 64};
  const size_t stride = (size_t)a[1] - (size_t)a[0];
  const __m512i strides = _mm512_set1_epi64((int64_t)stride);
  const __mmask8 m0 = mask8(rows - 1), m1 = rows <= 9 ? 0 : mask8(rows - 9);
  const __m512i d0 = _mm512_sub_epi64(_mm512_maskz_loadu_epi64(m0, a + 1), _mm512_maskz_loadu_epi64(m0, a));
  const __m512i d1 = _mm512_sub_epi64(_mm512_maskz_loadu_epi64(m1, a + 9), _mm512_maskz_loadu_epi64(m1, a + 8));
  const bool is_even = _mm512_mask_cmpneq_epi64_mask(m0, d0, strides) == 0 &&
                       _mm512_mask_cmpneq_epi64_mask(m1, d1, strides) == 0;
  return (struct spaced){is_even ? a[0] : NULL, stride};
}

// Copies 64 bytes of each row, those from k on, side by side.
QK_INLINE struct spaced staged(const void *const *a, size_t rows, size_t k, uint8_t *to) {
  for (size_t i = 0; i < rows; i++) {
    _mm512_store_si512(to + i * 64, _mm512_loadu_si512((const uint8_t *)a[i] + k));
  }
  return (struct spaced){to, 64};
}

// Up to 2 tiles of 16 rows times NT tiles of 16 columns, up to 64 of depth at a time: 2 + 2 tile loads feed 4 products.
// Evenly spaced rows are loaded from where they are, others are copied to the stack first.
QK_INLINE void igemm(const size_t MT, const size_t NT, size_t rows, size_t kc, size_t taps, const void *const *a,
                     const void *w, int32_t *sums) {
  _Alignas(64) uint8_t copies[4][16 * 64];
  const size_t depth = qk_tile_depth(kc), upper = qk_min(rows, 16), lower = rows - upper;
  const int8_t *b = w;
  configure(rows, depth);
  _tile_zero(0);
  if (NT == 2) _tile_zero(1);
  if (MT == 2) _tile_zero(2);
  if (MT == 2 && NT == 2) _tile_zero(3);
  for (size_t t = 0; t < taps; t++, a += 32) {
    const struct spaced from0 = spacing(a, upper), from1 = MT == 2 ? spacing(a + 16, lower) : from0;
    size_t parity = 0;
    for (size_t k = 0; k < kc; k += depth, b += depth * 32, parity ^= 1) {
      const struct spaced x0 = from0.address != NULL ? (struct spaced){from0.address + k, from0.stride}
                                                     : staged(a, upper, k, copies[parity]);
      _tile_loadd(6, b, 128);
      _tile_loadd(4, x0.address, x0.stride);
      _tile_dpbusd(0, 4, 6);
      if (NT == 2) {
        _tile_loadd(7, b + 64, 128);
        _tile_dpbusd(1, 4, 7);
      }
      if (MT == 2) {
        const struct spaced x1 = from1.address != NULL ? (struct spaced){from1.address + k, from1.stride}
                                                       : staged(a + 16, lower, k, copies[2 + parity]);
        _tile_loadd(5, x1.address, x1.stride);
        _tile_dpbusd(2, 5, 6);
        if (NT == 2) _tile_dpbusd(3, 5, 7);
      }
    }
  }
  _tile_stored(0, sums, 128);
  if (NT == 2) _tile_stored(1, sums + 16, 128);
  if (MT == 2) _tile_stored(2, sums + 16 * 32, 128);
  if (MT == 2 && NT == 2) _tile_stored(3, sums + 16 * 32 + 16, 128);
}

void qk_qu8_qc8w_igemm_ukernel_32x32__amx(size_t rows, size_t cols, size_t kc, size_t taps, const void *const *a,
                                          const void *w, void *out, size_t out_stride, const struct qk_tail *tail) {
  _Alignas(64) int32_t sums[32 * 32];
  if (rows > 16) {
    if (cols > 16) igemm(2, 2, rows, kc, taps, a, w, sums);
    else igemm(2, 1, rows, kc, taps, a, w, sums);
  } else {
    if (cols > 16) igemm(1, 2, rows, kc, taps, a, w, sums);
    else igemm(1, 1, rows, kc, taps, a, w, sums);
  }
  const struct qk_tail constant = *tail; // which stores through `out` cannot change
  for (size_t j = 0; j * 16 < cols; j++) {
    const __mmask16 mask = qk_mask16(cols - j * 16);
    for (size_t i = 0; i < rows; i++) {
      qk_tail16(_mm512_load_si512(sums + i * 32 + j * 16), j * 16, mask, (char *)out + i * out_stride, &constant);
    }
  }
  qk_finish_rows(rows, cols, out, out_stride, &constant);
}

#pragma clang attribute pop
#else
void qk_release_tiles(void) {}
#endif
