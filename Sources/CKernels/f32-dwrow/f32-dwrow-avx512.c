#if defined(__x86_64__)
#include "../tail-avx512.h"
#include "../ukernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))),             \
                             apply_to = function)

// Adds the column of KH rows to an output pixel.
QK_INLINE __m512 add_column(const size_t KH, __m512 acc, const __m512 *x, const __m512 *w) {
  QK_UNROLL for (size_t y = 0; y < KH; y++) acc = _mm512_fmadd_ps(x[y], w[y], acc);
  return acc;
}

// 32 channels of a row of output pixels. Every input column is read once and added to all the output pixels it belongs
// to: M of them are under way, the newest first.
QK_INLINE void dwrow(const size_t KH, const size_t KW, const size_t S, const struct qk_dwrow *row,
                     const struct qk_tail *tail) {
  const struct qk_dwrow at = *row; // a copy, which stores to the output cannot change
  const char *lines[8];
  QK_UNROLL for (size_t y = 0; y < KH; y++) lines[y] = at.lines[y];
  const size_t M = (KW + S - 1) / S, LAST = (KW - 1) % S;
  const __m512 lo = _mm512_set1_ps(tail->lo), hi = _mm512_set1_ps(tail->hi);
  const float *bias_at = tail->bias;
  for (size_t c = 0; c < at.channels; c += 32) {
    const size_t left = at.channels - c;
    const __mmask16 masks[2] = {qk_mask16(left), left > 16 ? qk_mask16(left - 16) : 0};
    const char *padding = (const char *)((const float *)at.padding + c);
    __m512 acc[2][5], bias[2], w[2][25];
    QK_UNROLL for (size_t v = 0; v < 2; v++) {
      bias[v] = _mm512_maskz_loadu_ps(masks[v], bias_at + c + v * 16);
      QK_UNROLL for (size_t m = 0; m < M; m++) acc[v][m] = bias[v];
      QK_UNROLL for (size_t t = 0; t < KH * KW; t++) {
        const float *from = (const float *)at.weights + (t % KH * KW + t / KH) * at.channels + c;
        w[v][t] = _mm512_maskz_loadu_ps(masks[v], from + v * 16);
      }
    }
    char *pixel = (char *)((float *)at.out + c);
    for (size_t o = 0; o < at.ow + M - 1; o++) {
      QK_UNROLL for (size_t r = 0; r < S; r++) {
        const size_t column = o * S + r - at.pl;
        const bool inside = column < at.iw;
        const size_t offset = column * at.in_stride + c * sizeof(float);
        QK_UNROLL for (size_t v = 0; v < 2; v++) {
          __m512 x[5];
          QK_UNROLL for (size_t y = 0; y < KH; y++) {
            x[y] = _mm512_maskz_loadu_ps(masks[v], (inside && lines[y] ? lines[y] + offset : padding) + v * 64);
          }
          QK_UNROLL for (size_t m = 0; m < M; m++) {
            if (r + S * m < KW) acc[v][m] = add_column(KH, acc[v][m], x, &w[v][(r + S * m) * KH]);
          }
          if (r == LAST && o + 1 >= M) {
            const __m512 result = _mm512_min_ps(hi, _mm512_max_ps(lo, acc[v][M - 1]));
            _mm512_mask_storeu_ps(pixel + v * 64, masks[v], result);
          }
        }
        if (r == LAST && o + 1 >= M) pixel += at.out_stride;
      }
      QK_UNROLL for (size_t v = 0; v < 2; v++) {
        QK_UNROLL for (size_t m = M - 1; m > 0; m--) acc[v][m] = acc[v][m - 1];
        acc[v][0] = bias[v];
      }
    }
  }
}

#define QK_DEFINE(KH, KW, S)                                                                                           \
  void qk_f32_dwrow_ukernel_##KH##x##KW##s##S##_32c__avx512(const struct qk_dwrow *row, const struct qk_tail *tail) {  \
    dwrow(KH, KW, S, row, tail);                                                                                       \
  }

QK_DEFINE(3, 3, 1)
QK_DEFINE(3, 3, 2)
QK_DEFINE(5, 5, 1)
QK_DEFINE(5, 5, 2)

#pragma clang attribute pop
#endif
