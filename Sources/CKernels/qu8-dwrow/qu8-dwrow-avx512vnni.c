#if defined(__x86_64__)
#include "../tail-avx512.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))),             \
                             apply_to = function)

// Channels 4 * j to 4 * j + 3 of each group of 16, for 4 such groups, with 4 taps each.
struct quads {
  __m512i v[4];
};

QK_INLINE struct quads interleave(__m512i r0, __m512i r1, __m512i r2, __m512i r3) {
  const __m512i low0 = _mm512_unpacklo_epi8(r0, r1), low1 = _mm512_unpacklo_epi8(r2, r3);
  const __m512i high0 = _mm512_unpackhi_epi8(r0, r1), high1 = _mm512_unpackhi_epi8(r2, r3);
  return (struct quads){{_mm512_unpacklo_epi16(low0, low1), _mm512_unpackhi_epi16(low0, low1),
                         _mm512_unpacklo_epi16(high0, high1), _mm512_unpackhi_epi16(high0, high1)}};
}

// Four numbers per lane of four vectors: vector j of `to` holds numbers 4 * j to 4 * j + 3 of each group of 16; its own
// inverse.
QK_INLINE void regroup(const __m512i from[4], __m512i to[4]) {
  const __m512i a = _mm512_shuffle_i32x4(from[0], from[1], 0x44), b = _mm512_shuffle_i32x4(from[2], from[3], 0x44);
  const __m512i c = _mm512_shuffle_i32x4(from[0], from[1], 0xEE), d = _mm512_shuffle_i32x4(from[2], from[3], 0xEE);
  to[0] = _mm512_shuffle_i32x4(a, b, 0x88);
  to[1] = _mm512_shuffle_i32x4(a, b, 0xDD);
  to[2] = _mm512_shuffle_i32x4(c, d, 0x88);
  to[3] = _mm512_shuffle_i32x4(c, d, 0xDD);
}

struct tail64 {
  __m512i start[4];
  __m512 scale[4];
  struct qk_requantize64 to;
};

static struct tail64 tail64(const struct qk_tail *tail, size_t channel) {
  struct tail64 t = {.to = qk_requantize64(tail)};
  __m512i start[4], scale[4], scale_bits[4];
  QK_UNROLL for (size_t j = 0; j < 4; j++) {
    start[j] = _mm512_loadu_si512(tail->start + channel + j * 16);
    scale[j] = _mm512_loadu_si512(tail->scale + channel + j * 16);
  }
  regroup(start, t.start);
  regroup(scale, scale_bits);
  QK_UNROLL for (size_t j = 0; j < 4; j++) t.scale[j] = _mm512_castsi512_ps(scale_bits[j]);
  return t;
}

// Stores `left` channels from `channel` on of one output pixel.
QK_INLINE void store(const __m512i acc[4], const struct tail64 *t, size_t channel, size_t left, char *pixel,
                     const struct qk_tail *tail) {
  if (tail->kind == QK_TAIL_REQUANTIZE) {
    __m512i v[4];
    QK_UNROLL for (size_t j = 0; j < 4; j++) {
      v[j] = qk_scaled16(acc[j], t->scale[j], &t->to);
    }
    _mm512_mask_storeu_epi8(pixel + channel, qk_mask64(left), qk_bytes64(v[0], v[1], v[2], v[3], &t->to));
    return;
  }
  __m512i sums[4];
  regroup(acc, sums);
  if (tail->kind == QK_TAIL_DEQUANTIZE && left == 64) {
    const __m512 lo = _mm512_set1_ps(tail->lo), hi = _mm512_set1_ps(tail->hi);
    float *to = (float *)(void *)pixel + channel;
    QK_UNROLL for (size_t j = 0; j < 4; j++) {
      const __m512 scale = _mm512_loadu_ps(tail->scale + channel + j * 16);
      const __m512 bias = _mm512_loadu_ps(tail->bias + channel + j * 16);
      _mm512_storeu_ps(to + j * 16, qk_dequantized16(sums[j], scale, bias, lo, hi));
    }
    return;
  }
  for (size_t j = 0; j * 16 < left; j++) {
    qk_finish16(sums[j], channel + j * 16, qk_mask16(left - j * 16), pixel, tail);
  }
}

// 64 channels of a row of output pixels. Every input column is read and interleaved once, 4 lines in a vector, and
// added to all the output pixels it belongs to: M of them are under way, the newest first.
QK_INLINE void dwrow(const size_t KH, const size_t KW, const size_t S, const struct qk_dwrow *row,
                     const struct qk_tail *tail_at) {
  // Copies, which stores to the output cannot change.
  const struct qk_dwrow at = *row;
  const struct qk_tail tail = *tail_at;
  const char *lines[8];
  size_t live[8];
  QK_UNROLL for (size_t y = 0; y < KH; y++) {
    live[y] = at.lines[y] != NULL;
    lines[y] = at.lines[y];
  }
  const size_t QUADS = (KH + 3) / 4, M = (KW + S - 1) / S, LAST = (KW - 1) % S;
  const __m512i zero = _mm512_setzero_si512();
  const char *weights = at.weights;
  for (size_t c = 0; c < at.channels; c += 64, weights += KW * QUADS * 256) {
    const size_t left = qk_min(at.channels - c, 64);
    const struct tail64 t = tail64(&tail, c);
    const char *padding = (const char *)at.padding + c;
    __m512i acc[5][4];
    QK_UNROLL for (size_t m = 0; m < M; m++) {
      QK_UNROLL for (size_t j = 0; j < 4; j++) acc[m][j] = t.start[j];
    }
    char *pixel = at.out;
    for (size_t o = 0; o < at.ow + M - 1; o++) {
      QK_UNROLL for (size_t r = 0; r < S; r++) {
        const size_t x = o * S + r - at.pl;
        const bool inside = x < at.iw;
        const size_t offset = x * at.in_stride + c;
        __m512i v[8];
        QK_UNROLL for (size_t y = 0; y < QUADS * 4; y++) {
          v[y] = y >= KH ? zero
                         : _mm512_loadu_si512(inside && live[y] ? lines[y] + offset : padding);
        }
        QK_UNROLL for (size_t q = 0; q < QUADS; q++) {
          const struct quads taps = interleave(v[4 * q], v[4 * q + 1], v[4 * q + 2], v[4 * q + 3]);
          QK_UNROLL for (size_t m = 0; m < M; m++) {
            const size_t kx = r + S * m;
            if (kx >= KW) continue;
            const char *w = weights + (kx * QUADS + q) * 256;
            QK_UNROLL for (size_t j = 0; j < 4; j++) {
              acc[m][j] = _mm512_dpbusd_epi32(acc[m][j], taps.v[j], _mm512_load_si512(w + j * 64));
            }
          }
        }
        if (r == LAST && o + 1 >= M) {
          store(acc[M - 1], &t, c, left, pixel, &tail);
          pixel += at.out_stride;
        }
      }
      QK_UNROLL for (size_t m = M - 1; m > 0; m--) {
        QK_UNROLL for (size_t j = 0; j < 4; j++) acc[m][j] = acc[m - 1][j];
      }
      QK_UNROLL for (size_t j = 0; j < 4; j++) acc[0][j] = t.start[j];
    }
  }
}

#define QK_DEFINE(KH, KW, S)                                                                                           \
  void qk_qu8_qc8w_dwrow_ukernel_##KH##x##KW##s##S##_64c__avx512vnni(const struct qk_dwrow *row,                       \
                                                                      const struct qk_tail *tail) {                    \
    dwrow(KH, KW, S, row, tail);                                                                                       \
  }

QK_DEFINE(3, 3, 1)
QK_DEFINE(3, 3, 2)
QK_DEFINE(5, 5, 1)
QK_DEFINE(5, 5, 2)

#pragma clang attribute pop
#endif
