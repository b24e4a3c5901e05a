// The functions of struct qk_vector_ops in plain C, for the compiler to vectorise. Each file of this family includes
// it once under its own target attribute and defines QK_VECTOR_NAME, QK_VECTOR_ISA and QK_VECTOR_TABLE. It may define
// QK_VECTOR_TABLE_U8 and QK_VECTOR_QUANTIZE_U8 (for scales from 2^-100 to 2^100) as functions of its own.
//
// No operation is contracted and none depends on the vector width, so every instruction set gives the same bytes.
#include "../common.h"

#include <float.h>

// Elements do not depend on each other, even where a result takes the place of an operand.
#define QK_EACH(i) _Pragma("clang loop vectorize(assume_safety)") for (size_t i = 0; i < n; i++)

QK_INLINE float hard_sigmoid(float x, float a, float b) {
  const float product = a * x;
  return qk_clamp(product + b, 0.0f, 1.0f);
}

// e^x: 2^n * e^r with |r| <= ln(2)/2 and a polynomial of degree 6; within 2 ulp, 0 below -103.97, infinity above 88.72.
QK_INLINE float fast_exp(float x) {
  const float c = qk_clamp(x, -104.0f, 89.0f);
  union {
    float f;
    int32_t i;
  } u = {.f = c * 1.44269504f + 12582912.0f};
  const int32_t n = u.i - 0x4B400000;
  const float fn = u.f - 12582912.0f;
  const float r = (c - fn * 0.693359375f) - fn * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const int32_t half = n >> 1;
  union {
    uint32_t i;
    float f;
  } s0 = {.i = (uint32_t)(half + 127) << 23}, s1 = {.i = (uint32_t)(n - half + 127) << 23};
  const float result = p * s0.f * s1.f;
  return x != x ? x : result;
}

QK_INLINE float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

// Section 8.2 of arithmetic.md.
QK_INLINE double exact_exp(double x) {
  const double c = x > 709.782712893384 ? 709.782712893384 : x >= -745.2 ? x : -745.2;
  const double shifted = c * 1.4426950408889634 + 6755399441055744.0;
  const double k = shifted - 6755399441055744.0;
  const double r = (c - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;
  double p = 1.0;
  for (int n = 13; n >= 1; n--) p = 1.0 + r / (double)n * p;
  const int64_t e = (int64_t)k, half = e >> 1;
  union {
    uint64_t i;
    double f;
  } s0 = {.i = (uint64_t)(half + 1023) << 52}, s1 = {.i = (uint64_t)(e - half + 1023) << 52};
  const double result = p * s0.f * s1.f;
  return x != x ? x : x > 709.782712893384 ? HUGE_VAL : x < -745.2 ? 0.0 : result;
}

// erf(x): an odd polynomial of degree 13 below 1, otherwise 1 - p(t) e^(-x^2) with t = 1 / (1 + |x| / 2) and degree 5;
// both are least-squares fits at Chebyshev nodes, within 2e-7.
QK_INLINE float fast_erf(float x) {
  const float m = fabsf(x), a = m > 4.0f ? 4.0f : m, z = a * a;
  float small = 7.88252946222201e-05f;
  small = small * z + -0.0008018894586712122f;
  small = small * z + 0.0051893205381929874f;
  small = small * z + -0.026854336261749268f;
  small = small * z + 0.11283598095178604f;
  small = small * z + -0.3761262595653534f;
  small = small * z + 1.1283791065216064f;
  const float t = 1.0f / (1.0f + 0.5f * a);
  float p = -0.21795783936977386f;
  p = p * t + 0.6023766994476318f;
  p = p * t + -0.028112327679991722f;
  p = p * t + 0.3777068257331848f;
  p = p * t + 0.2646728754043579f;
  p = p * t + 0.0013091788860037923f;
  const float result = a < 1.0f ? small * a : 1.0f - p * fast_exp(-z);
  return x != x ? x : copysignf(result, x);
}

// tanh(x): its series up to x^9 below 1/4, otherwise from e^(-2|x|).
QK_INLINE float fast_tanh(float x) {
  const float a = fabsf(x), z = x * x, e = fast_exp(-2.0f * a);
  float p = 62.0f / 2835.0f;
  p = p * z + -17.0f / 315.0f;
  p = p * z + 2.0f / 15.0f;
  p = p * z + -1.0f / 3.0f;
  const float small = x + x * z * p, large = copysignf((1.0f - e) / (1.0f + e), x);
  return a < 0.25f ? small : x != x ? x : large;
}

QK_INLINE float gelu_tanh(float x) {
  const float inner = 0.7978845608028654f * (x + 0.044715f * (x * x * x));
  return x / (1.0f + fast_exp(-2.0f * inner));
}

static void activate(size_t n, const float *x, float *out, const struct qk_activation *activation) {
  const float a = activation->a, b = activation->b;
  switch (activation->function) {
  case QK_IDENTITY:
    if (out != x) memcpy(out, x, n * sizeof(float));
    break;
  case QK_RELU:
    QK_EACH(i) out[i] = x[i] < 0.0f ? 0.0f : x[i];
    break;
  case QK_CLIP:
    QK_EACH(i) out[i] = qk_clamp(x[i], a, b);
    break;
  case QK_LEAKY_RELU:
    QK_EACH(i) out[i] = x[i] < 0.0f ? a * x[i] : x[i];
    break;
  case QK_HARD_SIGMOID:
    QK_EACH(i) out[i] = hard_sigmoid(x[i], a, b);
    break;
  case QK_HARD_SWISH:
    QK_EACH(i) out[i] = x[i] * hard_sigmoid(x[i], 1.0f / 6.0f, 0.5f);
    break;
  case QK_SIGMOID:
    if (activation->exact) {
      QK_EACH(i) out[i] = (float)(1.0 / (1.0 + exact_exp(-(double)x[i])));
    } else {
      QK_EACH(i) out[i] = fast_sigmoid(x[i]);
    }
    break;
  case QK_SILU:
    if (activation->exact) {
      QK_EACH(i) out[i] = (float)((double)x[i] / (1.0 + exact_exp(-(double)x[i])));
    } else {
      QK_EACH(i) out[i] = x[i] / (1.0f + fast_exp(-x[i]));
    }
    break;
  case QK_GELU:
    QK_EACH(i) out[i] = 0.5f * x[i] * (1.0f + fast_erf(x[i] * 0.7071067811865476f));
    break;
  case QK_GELU_TANH:
    QK_EACH(i) out[i] = gelu_tanh(x[i]);
    break;
  case QK_ERF:
    QK_EACH(i) out[i] = fast_erf(x[i]);
    break;
  case QK_TANH:
    QK_EACH(i) out[i] = fast_tanh(x[i]);
    break;
  }
}

static void lstm_cell(size_t n, const struct qk_lstm_cell *cell) {
  float *const i_ = cell->gates[0], *const o_ = cell->gates[1], *const f_ = cell->gates[2], *const g_ = cell->gates[3];
  const float *const pi = cell->peepholes[0], *const po = cell->peepholes[1], *const pf = cell->peepholes[2];
  float *const c_ = cell->cell, *const out = cell->out;
  const float bound = cell->clip;
  if (pi != NULL) {
    QK_EACH(i) {
      const float to_i = pi[i] * c_[i], to_f = pf[i] * c_[i];
      i_[i] += to_i;
      f_[i] += to_f;
    }
  }
  if (cell->coupled) {
    QK_EACH(i) {
      const float in = fast_sigmoid(qk_clamp(i_[i], -bound, bound));
      const float kept = (1.0f - in) * c_[i], added = in * fast_tanh(qk_clamp(g_[i], -bound, bound));
      c_[i] = kept + added;
    }
  } else {
    QK_EACH(i) {
      const float in = fast_sigmoid(qk_clamp(i_[i], -bound, bound)), keep = fast_sigmoid(qk_clamp(f_[i], -bound, bound));
      const float kept = keep * c_[i], added = in * fast_tanh(qk_clamp(g_[i], -bound, bound));
      c_[i] = kept + added;
    }
  }
  if (po != NULL) {
    QK_EACH(i) {
      const float to_o = po[i] * c_[i];
      o_[i] += to_o;
    }
  }
  QK_EACH(i) out[i] = fast_sigmoid(qk_clamp(o_[i], -bound, bound)) * fast_tanh(c_[i]);
}

static void gru_cell(size_t n, const struct qk_gru_cell *cell) {
  float *const z_ = cell->gates[0], *const r_ = cell->gates[1], *const n_ = cell->gates[2];
  const float *const input = cell->input, *const before = cell->before;
  float *const out = cell->out;
  const float bound = cell->clip;
  if (input != NULL) {
    QK_EACH(i) {
      const float product = fast_sigmoid(qk_clamp(r_[i], -bound, bound)) * n_[i];
      n_[i] = product + input[i];
    }
  }
  QK_EACH(i) {
    const float z = fast_sigmoid(qk_clamp(z_[i], -bound, bound));
    const float added = (1.0f - z) * fast_tanh(qk_clamp(n_[i], -bound, bound)), kept = z * before[i];
    out[i] = added + kept;
  }
}

static void quantize_by_division(size_t n, const float *x, uint8_t *out, float scale, uint8_t zero_point) {
  const float lo = -(float)zero_point, hi = (float)(255 - zero_point);
  QK_EACH(i) {
    const float quotient = x[i] / scale;
    const float number = quotient != quotient ? 0.0f : quotient;
    out[i] = (uint8_t)(qk_rne(qk_clamp(number, lo, hi)) + zero_point);
  }
}

static void quantize_u8(size_t n, const float *x, uint8_t *out, float scale, uint8_t zero_point) {
#ifdef QK_VECTOR_QUANTIZE_U8
  if (scale >= 0x1p-100f && scale <= 0x1p100f) {
    QK_VECTOR_QUANTIZE_U8(n, x, out, scale, zero_point);
    return;
  }
#endif
  quantize_by_division(n, x, out, scale, zero_point);
}

static void dequantize_u8(size_t n, const uint8_t *x, float *out, float scale, uint8_t zero_point) {
  QK_EACH(i) out[i] = (float)((int32_t)x[i] - zero_point) * scale;
}

static void range(size_t n, const float *x, float *lo, float *hi) {
  float least[64], most[64];
  for (size_t j = 0; j < 64; j++) {
    least[j] = *lo;
    most[j] = *hi;
  }
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    for (size_t j = 0; j < 64; j++) {
      const float v = fabsf(x[i + j]) <= FLT_MAX ? x[i + j] : 0.0f;
      least[j] = v < least[j] ? v : least[j];
      most[j] = v > most[j] ? v : most[j];
    }
  }
  for (; i < n; i++) {
    const float v = fabsf(x[i]) <= FLT_MAX ? x[i] : 0.0f;
    least[0] = v < least[0] ? v : least[0];
    most[0] = v > most[0] ? v : most[0];
  }
  for (size_t j = 0; j < 64; j++) {
    *lo = least[j] < *lo ? least[j] : *lo;
    *hi = most[j] > *hi ? most[j] : *hi;
  }
}

static void binary_u8(size_t n, const uint8_t *a, const uint8_t *b, uint8_t *out, const struct qk_u8_binary *params) {
  const int32_t za = params->za, zb = params->zb, zy = params->clamp.zero_point;
  const float ma = params->ma, mb = params->mb;
  const float lo = (float)(params->clamp.lowest - zy), hi = (float)(params->clamp.highest - zy);
  if (params->multiply) {
    QK_EACH(i) {
      const float v = (float)((a[i] - za) * (b[i] - zb)) * ma;
      out[i] = (uint8_t)(qk_rne(qk_clamp(v, lo, hi)) + zy);
    }
    return;
  }
  QK_EACH(i) {
    const float left = (float)(a[i] - za) * ma;
    const float right = (float)(b[i] - zb) * mb;
    out[i] = (uint8_t)(qk_rne(qk_clamp(left + right, lo, hi)) + zy);
  }
}

static void binary_f32(size_t n, const float *a, const float *b, float *out, enum qk_float_binary function) {
  switch (function) {
  case QK_ADD:
    QK_EACH(i) out[i] = a[i] + b[i];
    break;
  case QK_SUB:
    QK_EACH(i) out[i] = a[i] - b[i];
    break;
  case QK_MUL:
    QK_EACH(i) out[i] = a[i] * b[i];
    break;
  case QK_DIV:
    QK_EACH(i) out[i] = a[i] / b[i];
    break;
  }
}

static void binary_f32_scalar(size_t n, const float *a, float b, float *out, enum qk_float_binary function) {
  switch (function) {
  case QK_ADD:
    QK_EACH(i) out[i] = a[i] + b;
    break;
  case QK_SUB:
    QK_EACH(i) out[i] = a[i] - b;
    break;
  case QK_MUL:
    QK_EACH(i) out[i] = a[i] * b;
    break;
  case QK_DIV:
    QK_EACH(i) out[i] = a[i] / b;
    break;
  }
}

#ifndef QK_VECTOR_TABLE_U8
#define QK_VECTOR_TABLE_U8 table_u8
static void table_u8(size_t n, const uint8_t *x, uint8_t *out, const uint8_t *table) {
  for (size_t i = 0; i < n; i++) out[i] = table[x[i]];
}
#endif

static void max_f32(size_t n, const float *x, float *inout) {
  QK_EACH(i) inout[i] = inout[i] < x[i] || x[i] != x[i] ? x[i] : inout[i];
}

static void max_u8(size_t n, const uint8_t *x, uint8_t *inout) {
  QK_EACH(i) inout[i] = inout[i] < x[i] ? x[i] : inout[i];
}

static void interleave3_u8(size_t n, const uint8_t *x, size_t distance, uint8_t *out) {
  QK_EACH(i) {
    out[3 * i] = x[i];
    out[3 * i + 1] = x[i + distance];
    out[3 * i + 2] = x[i + 2 * distance];
  }
}

static void interleave3_f32(size_t n, const float *x, size_t distance, float *out) {
  QK_EACH(i) {
    out[3 * i] = x[i];
    out[3 * i + 1] = x[i + distance];
    out[3 * i + 2] = x[i + 2 * distance];
  }
}

static void accumulate_f32(size_t n, const float *x, float *inout) {
  QK_EACH(i) inout[i] += x[i];
}

static void accumulate_u8(size_t n, const uint8_t *x, int32_t *inout) {
  QK_EACH(i) inout[i] += x[i];
}

static void scale_f32(size_t n, float *inout, float factor) {
  QK_EACH(i) inout[i] *= factor;
}

static void mean_u8(size_t n, const int32_t *sums, uint8_t *out, int32_t offset, float multiplier,
                    const struct qk_u8_clamp *clamp) {
  const int32_t zy = clamp->zero_point;
  const float lo = (float)(clamp->lowest - zy), hi = (float)(clamp->highest - zy);
  QK_EACH(i) {
    const float v = (float)(sums[i] - offset) * multiplier;
    out[i] = (uint8_t)(qk_rne(qk_clamp(v, lo, hi)) + zy);
  }
}

// NaN once there is one.
QK_INLINE float larger(float a, float b) { return a < b || b != b ? b : a; }

// Joins 16 interleaved parts of a sum from the first to the last.
QK_INLINE float join(const float *parts) {
  float sum = 0.0f;
  for (size_t j = 0; j < 16; j++) sum += parts[j];
  return sum;
}

// The sum, taken in 16 interleaved parts.
QK_INLINE float interleaved_sum(size_t n, const float *x) {
  float parts[16] = {0};
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (size_t j = 0; j < 16; j++) parts[j] += x[i + j];
  }
  for (; i < n; i++) parts[i % 16] += x[i];
  return join(parts);
}

static void softmax(size_t n, const float *x, float *out) {
  float parts[16];
  for (size_t j = 0; j < 16; j++) parts[j] = -INFINITY;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (size_t j = 0; j < 16; j++) parts[j] = larger(parts[j], x[i + j]);
  }
  for (; i < n; i++) parts[0] = larger(parts[0], x[i]);
  for (size_t j = 1; j < 16; j++) parts[0] = larger(parts[0], parts[j]);
  const float most = parts[0];
  QK_EACH(k) out[k] = fast_exp(x[k] - most);
  const float sum = interleaved_sum(n, out);
  for (size_t j = 0; j < n; j++) out[j] /= sum;
}

static void layer_norm(size_t n, const float *x, const float *scale, const float *bias, float epsilon, float *out) {
  const float mean = interleaved_sum(n, x) / (float)n;
  float squares[16] = {0};
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (size_t j = 0; j < 16; j++) {
      const float d = x[i + j] - mean;
      squares[j] += d * d;
    }
  }
  for (; i < n; i++) squares[i % 16] += (x[i] - mean) * (x[i] - mean);
  const float factor = 1.0f / sqrtf(join(squares) / (float)n + epsilon);
  if (bias == NULL) {
    for (i = 0; i < n; i++) out[i] = (x[i] - mean) * factor * scale[i];
  } else {
    for (i = 0; i < n; i++) out[i] = (x[i] - mean) * factor * scale[i] + bias[i];
  }
}

static void dequantize_row(size_t n, const int32_t *sums, float *out, const struct qk_row *row) {
  const uint32_t zero_point = row->zero_point;
  for (size_t i = 0; i < n; i++) {
    const int32_t sum = (int32_t)((uint32_t)sums[i] - zero_point * (uint32_t)row->column_sums[i]);
    const float product = (float)sum * (row->scale * row->column_scale[i]);
    out[i] = product + row->bias[i];
  }
}

const struct qk_vector_ops QK_VECTOR_TABLE = {
    .name = QK_VECTOR_NAME,
    .isa = QK_VECTOR_ISA,
    .activate = activate,
    .quantize_u8 = quantize_u8,
    .dequantize_u8 = dequantize_u8,
    .range = range,
    .binary_u8 = binary_u8,
    .binary_f32 = binary_f32,
    .binary_f32_scalar = binary_f32_scalar,
    .table_u8 = QK_VECTOR_TABLE_U8,
    .max_f32 = max_f32,
    .max_u8 = max_u8,
    .interleave3_u8 = interleave3_u8,
    .interleave3_f32 = interleave3_f32,
    .accumulate_f32 = accumulate_f32,
    .accumulate_u8 = accumulate_u8,
    .scale_f32 = scale_f32,
    .mean_u8 = mean_u8,
    .softmax = softmax,
    .layer_norm = layer_norm,
    .dequantize_row = dequantize_row,
    .lstm_cell = lstm_cell,
    .gru_cell = gru_cell,
};
