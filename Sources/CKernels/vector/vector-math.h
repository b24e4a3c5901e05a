// Functions of one number and of 16 at once, for vector-template.h. No operation is contracted.
#include "../common.h"

#include <float.h>

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

QK_INLINE float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

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

// e^x - 1 for no operand above 0: its series up to x^6 above -1/4.
QK_INLINE float fast_expm1_below_0(float x) {
  float p = 1.0f / 720.0f;
  p = p * x + 1.0f / 120.0f;
  p = p * x + 1.0f / 24.0f;
  p = p * x + 1.0f / 6.0f;
  p = p * x + 0.5f;
  const float small = x + x * x * p, large = fast_exp(x) - 1.0f;
  return x > -0.25f ? small : large;
}

// x tanh(log(1 + e^x)) = x t / (t + 2) with t = e^x (e^x + 2).
QK_INLINE float mish(float x) {
  const float e = fast_exp(x > 20.0f ? 20.0f : x), t = e * (e + 2.0f);
  return x * (t / (t + 2.0f));
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

QK_INLINE lanes sum_of(lanes a, lanes b) { return a + b; }

// The sum of 16 interleaved parts.
QK_INLINE float join(lanes parts) {
  QK_FOLD(parts, sum_of)
  return parts[0];
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
