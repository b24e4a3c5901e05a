// The functions of struct qk_vector_ops in plain C, for the compiler to vectorise. Each file of this family includes
// it once under its own target attribute and defines QK_VECTOR_NAME, QK_VECTOR_ISA and QK_VECTOR_TABLE. It may define
// QK_VECTOR_TABLE_U8 and QK_VECTOR_QUANTIZE_U8 (for scales from 2^-100 to 2^100) as functions of its own.
//
// No operation is contracted and none depends on the vector width, so every instruction set gives the same bytes.
#include "../common.h"

#include <float.h>

// Elements do not depend on each other, even where a result takes the place of an operand.
#define QK_EACH(i) _Pragma("clang loop vectorize(assume_safety)") for (size_t i = 0; i < n; i++)

// 16 elements, which each instruction set holds in as many registers as it needs.
typedef float lanes __attribute__((ext_vector_type(16)));
typedef int32_t integer_lanes __attribute__((ext_vector_type(16)));
// Functions of lanes are inlined, so that it does not matter how they would be passed.
#pragma clang diagnostic ignored "-Wpsabi"

QK_INLINE lanes load_lanes(const float *x) {
  lanes v;
  memcpy(&v, x, sizeof v);
  return v;
}

// The last `count` < 16 elements, followed by `rest`.
QK_INLINE lanes load_last_lanes(const float *x, size_t count, float rest) {
  lanes v = rest;
  memcpy(&v, x, count * sizeof(float));
  return v;
}

QK_INLINE lanes lesser(lanes a, lanes b) { return a < b ? a : b; }
QK_INLINE lanes greater(lanes a, lanes b) { return a > b ? a : b; }

// Combines lane i with lanes i + 8, i + 4, i + 2, i + 1.
#define QK_FOLD(v, FUNCTION)                                                                                           \
  v = FUNCTION(__builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7), v);                \
  v = FUNCTION(__builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11), v);                \
  v = FUNCTION(__builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13), v);                \
  v = FUNCTION(__builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14), v);

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

// x / 2 (1 + erf(x / sqrt(2))): the error function as x P(x^2) / Q(x^2), both of degree 5, a least-squares fit with
// iterated weights, within 4e-7 up to |x| = sqrt(32) and exactly 1 from there on.
QK_INLINE float gelu(float x) {
  const float c = qk_clamp(x, -5.65685425f, 5.65685425f), z = c * c;
  float p = 4.363765881976178e-08f;
  p = p * z + 1.2729738955385983e-05f;
  p = p * z + 0.00035387769457884133f;
  p = p * z + 0.009451816789805889f;
  p = p * z + 0.06938472390174866f;
  p = p * z + 0.7978844046592712f;
  float q = 1.1712714922396117e-06f;
  q = q * z + 7.602274126838893e-05f;
  q = q * z + 0.0019305588211864233f;
  q = q * z + 0.02911917120218277f;
  q = q * z + 0.25362643599510193f;
  q = q * z + 1.0f;
  return 0.5f * x * (1.0f + qk_clamp(c * p / q, -1.0f, 1.0f));
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
      QK_EACH(i) out[i] = 1.0f / (1.0f + fast_exp(-x[i]));
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
    QK_EACH(i) out[i] = gelu(x[i]);
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

// Lowers *least and raises *most by those that are numbers and, if `bounded`, finite.
QK_INLINE void widen(lanes v, bool bounded, lanes *least, lanes *most) {
  if (bounded) v = __builtin_elementwise_abs(v) <= FLT_MAX ? v : 0.0f;
  *least = lesser(v, *least);
  *most = greater(v, *most);
}

QK_INLINE void range_of(size_t n, const float *x, bool bounded, float *lo, float *hi) {
  lanes least[4] = {*lo, *lo, *lo, *lo}, most[4] = {*hi, *hi, *hi, *hi};
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    QK_UNROLL for (size_t j = 0; j < 4; j++) widen(load_lanes(x + i + j * 16), bounded, &least[j], &most[j]);
  }
  for (; i + 16 <= n; i += 16) widen(load_lanes(x + i), bounded, &least[0], &most[0]);
  if (i < n) widen(load_last_lanes(x + i, n - i, 0.0f), bounded, &least[0], &most[0]);
  lanes low = lesser(lesser(least[0], least[1]), lesser(least[2], least[3]));
  lanes high = greater(greater(most[0], most[1]), greater(most[2], most[3]));
  QK_FOLD(low, lesser)
  QK_FOLD(high, greater)
  *lo = low[0];
  *hi = high[0];
}

static void range(size_t n, const float *x, float *lo, float *hi) {
  float least = *lo, most = *hi;
  range_of(n, x, false, &least, &most);
  if (least < -FLT_MAX || most > FLT_MAX) {
    range_of(n, x, true, lo, hi);
    return;
  }
  *lo = least;
  *hi = most;
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

QK_INLINE lanes sum_of(lanes a, lanes b) { return a + b; }

// The sum of 16 interleaved parts.
QK_INLINE float join(lanes parts) {
  QK_FOLD(parts, sum_of)
  return parts[0];
}

// The sum, taken in 16 interleaved parts.
QK_INLINE float interleaved_sum(size_t n, const float *x) {
  lanes parts = 0.0f;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) parts += load_lanes(x + i);
  if (i < n) parts += load_last_lanes(x + i, n - i, 0.0f);
  return join(parts);
}

// The largest element that is a number, or -infinity.
QK_INLINE float largest(size_t n, const float *x) {
  lanes most[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    QK_UNROLL for (size_t j = 0; j < 4; j++) most[j] = greater(load_lanes(x + i + j * 16), most[j]);
  }
  for (; i + 16 <= n; i += 16) most[0] = greater(load_lanes(x + i), most[0]);
  if (i < n) most[0] = greater(load_last_lanes(x + i, n - i, -INFINITY), most[0]);
  lanes result = greater(greater(most[0], most[1]), greater(most[2], most[3]));
  QK_FOLD(result, greater)
  return result[0];
}

// fast_exp for no operand above 0, and 0 below -87.
QK_INLINE lanes fast_exp_below_0(lanes x) {
  const lanes c = x < -88.0f ? -88.0f : x, shifted = c * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
  const lanes r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
  lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const lanes scaled = (lanes)((integer_lanes)p + ((integer_lanes)shifted << 23));
  return x < -87.0f ? 0.0f : scaled;
}

static float exponentials(size_t n, const float *x, float *out) {
  const float most = largest(n, x);
  lanes parts = 0.0f;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const lanes v = fast_exp_below_0(load_lanes(x + i) - most);
    parts += v;
    memcpy(out + i, &v, sizeof v);
  }
  if (i < n) {
    const lanes v = fast_exp_below_0(load_last_lanes(x + i, n - i, -INFINITY) - most);
    parts += v;
    memcpy(out + i, &v, (n - i) * sizeof(float));
  }
  return join(parts);
}

static void softmax(size_t n, const float *x, float *out) {
  const float factor = 1.0f / exponentials(n, x, out);
  for (size_t j = 0; j < n; j++) out[j] *= factor;
}

static void layer_norm(size_t n, const float *x, const float *scale, const float *bias, float epsilon, float *out) {
  const float mean = interleaved_sum(n, x) / (float)n;
  lanes squares = 0.0f;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const lanes d = load_lanes(x + i) - mean;
    squares += d * d;
  }
  if (i < n) {
    const lanes d = load_last_lanes(x + i, n - i, mean) - mean;
    squares += d * d;
  }
  const float factor = 1.0f / sqrtf(join(squares) / (float)n + epsilon);
  if (bias == NULL) {
    QK_EACH(k) out[k] = (x[k] - mean) * factor * scale[k];
  } else {
    QK_EACH(k) out[k] = (x[k] - mean) * factor * scale[k] + bias[k];
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
    .exponentials = exponentials,
    .softmax = softmax,
    .layer_norm = layer_norm,
};
