// Input and output transforms of Winograd's minimal filtering for 3x3 windows, in vectors of channels for the compiler
// to map to registers. Each file of this family includes it once under its own target attribute and defines
// QK_WINOGRAD_LANES, the floats of a vector.
//
// The names are those of A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks (2015): an input tile
// d becomes B^T d B, the sums of products m become the output tile A^T m A. Both are Toom-Cook interpolations.
#include "winograd-points.h"

typedef float vector __attribute__((vector_size(4 * QK_WINOGRAD_LANES)));
typedef int32_t mask __attribute__((vector_size(4 * QK_WINOGRAD_LANES)));
// At any address.
typedef float floats __attribute__((vector_size(4 * QK_WINOGRAD_LANES), aligned(4), may_alias));

// B^T for 2 outputs, from the points 0, 1, -1 and infinity.
QK_INLINE void input_row_2(const vector *d, vector *t) {
  t[0] = d[2] - d[0];
  t[1] = d[2] + d[1];
  t[2] = d[2] - d[1];
  t[3] = d[3] - d[1];
}

QK_INLINE void output_row_2(const vector *m, vector *y) {
  y[0] = m[0] + (m[1] + m[2]);
  y[1] = m[3] + (m[1] - m[2]);
}

// B^T for 4 outputs, from the points 0, A, -A, B, -B and infinity.
QK_INLINE void input_row_4(const vector *d, vector *t) {
  const float a = QK_WINOGRAD_A, b = QK_WINOGRAD_B;
  const vector even_a = d[4] - b * b * d[2], odd_a = a * d[3] - a * b * b * d[1];
  const vector even_b = d[4] - a * a * d[2], odd_b = b * d[3] - a * a * b * d[1];
  t[0] = a * a * b * b * d[0] + (d[4] - (a * a + b * b) * d[2]);
  t[1] = even_a + odd_a;
  t[2] = even_a - odd_a;
  t[3] = even_b + odd_b;
  t[4] = even_b - odd_b;
  t[5] = a * a * b * b * d[1] + (d[5] - (a * a + b * b) * d[3]);
}

QK_INLINE void output_row_4(const vector *m, vector *y) {
  const float a = QK_WINOGRAD_A, b = QK_WINOGRAD_B;
  const vector even_a = m[1] + m[2], odd_a = m[1] - m[2];
  const vector even_b = m[3] + m[4], odd_b = m[3] - m[4];
  y[0] = m[0] + (even_a + even_b);
  y[1] = a * odd_a + b * odd_b;
  y[2] = a * a * even_a + b * b * even_b;
  y[3] = m[5] + (a * a * a * odd_a + b * b * b * odd_b);
}

QK_INLINE void input_row(const size_t M, const vector *d, vector *t) {
  if (M == 2) {
    input_row_2(d, t);
  } else {
    input_row_4(d, t);
  }
}

QK_INLINE void output_row(const size_t M, const vector *m, vector *y) {
  if (M == 2) {
    output_row_2(m, y);
  } else {
    output_row_4(m, y);
  }
}

// One vector of channels at a time: columns, then rows.
QK_INLINE void transform_input(const size_t M, size_t channels, const void *const *pixels, float *out, size_t plane) {
  const size_t N = M + 2;
  for (size_t c = 0; c < channels; c += QK_WINOGRAD_LANES) {
    vector columns[6][6];
    QK_UNROLL for (size_t x = 0; x < N; x++) {
      vector d[6], t[6];
      QK_UNROLL for (size_t y = 0; y < N; y++) d[y] = *(const floats *)((const float *)pixels[y * N + x] + c);
      input_row(M, d, t);
      QK_UNROLL for (size_t y = 0; y < N; y++) columns[y][x] = t[y];
    }
    QK_UNROLL for (size_t y = 0; y < N; y++) {
      vector t[6];
      input_row(M, columns[y], t);
      QK_UNROLL for (size_t x = 0; x < N; x++) *(floats *)(out + (y * N + x) * plane + c) = t[x];
    }
  }
}

QK_INLINE vector select(mask where, vector a, vector b) { return (vector)((where & (mask)a) | (~where & (mask)b)); }

// NaN passes.
QK_INLINE vector clamp(vector v, float lo, float hi) {
  const vector low = lo - (vector){0}, high = hi - (vector){0};
  v = select(v < low, low, v);
  return select(v > high, high, v);
}

QK_INLINE void transform_output(const size_t M, size_t channels, const float *products, size_t plane,
                                void *const *pixels, const struct qk_tail *tail) {
  const size_t N = M + 2;
  const float lo = tail->lo, hi = tail->hi;
  for (size_t c = 0; c < channels; c += QK_WINOGRAD_LANES) {
    vector columns[4][6];
    QK_UNROLL for (size_t x = 0; x < N; x++) {
      vector m[6], y[4];
      QK_UNROLL for (size_t i = 0; i < N; i++) m[i] = *(const floats *)(products + (i * N + x) * plane + c);
      output_row(M, m, y);
      QK_UNROLL for (size_t i = 0; i < M; i++) columns[i][x] = y[i];
    }
    const vector bias = *(const floats *)(tail->bias + c);
    const size_t bytes = qk_min(channels - c, QK_WINOGRAD_LANES) * sizeof(float);
    QK_UNROLL for (size_t i = 0; i < M; i++) {
      vector y[4];
      output_row(M, columns[i], y);
      QK_UNROLL for (size_t x = 0; x < M; x++) {
        float *to = (float *)pixels[i * M + x];
        if (to == NULL) continue;
        const vector result = clamp(y[x] + bias, lo, hi);
        if (bytes == sizeof(vector)) {
          *(floats *)(to + c) = result;
        } else {
          memcpy(to + c, &result, bytes);
        }
      }
    }
  }
}

#define QK_DEFINE(M, ISA)                                                                                              \
  void qk_f32_winograd_input_ukernel_##M##x##M##__##ISA(size_t channels, const void *const *pixels, float *out,        \
                                                        size_t plane) {                                                \
    transform_input(M, channels, pixels, out, plane);                                                                  \
  }                                                                                                                    \
  void qk_f32_winograd_output_ukernel_##M##x##M##__##ISA(size_t channels, const float *products, size_t plane,         \
                                                         void *const *pixels, const struct qk_tail *tail) {            \
    transform_output(M, channels, products, plane, pixels, tail);                                                      \
  }
