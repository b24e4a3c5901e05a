// The functions of struct qk_vector_ops in plain C, for the compiler to vectorise. Each file of this family includes
// it once under its own target attribute and defines QK_VECTOR_NAME, QK_VECTOR_ISA and QK_VECTOR_TABLE. It may define
// QK_VECTOR_TABLE_U8 and QK_VECTOR_QUANTIZE_U8 (for scales from 2^-100 to 2^100) as functions of its own.
//
// No operation is contracted and none depends on the vector width, so every instruction set gives the same bytes.
#include "vector-math.h"

// Elements do not depend on each other, even where a result takes the place of an operand.
#define QK_EACH(i) _Pragma("clang loop vectorize(assume_safety)") for (size_t i = 0; i < n; i++)

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
    QK_EACH(i) out[i] = fast_sigmoid(x[i]);
    break;
  case QK_SILU:
    QK_EACH(i) out[i] = x[i] / (1.0f + fast_exp(-x[i]));
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
  case QK_MISH:
    QK_EACH(i) out[i] = mish(x[i]);
    break;
  case QK_ELU:
    QK_EACH(i) out[i] = b * (x[i] < 0.0f ? a * fast_expm1_below_0(x[i]) : x[i]);
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
  const struct qk_u8_binary constant = *params; // which stores through `out` cannot change
  if (!constant.multiply) {
    QK_EACH(i) out[i] = qk_add(a[i], b[i], &constant);
    return;
  }
  const int32_t za = constant.za, zb = constant.zb, zy = constant.clamp.zero_point;
  const float lo = (float)(constant.clamp.lowest - zy), hi = (float)(constant.clamp.highest - zy);
  QK_EACH(i) {
    const float v = (float)((a[i] - za) * (b[i] - zb)) * constant.ma;
    out[i] = (uint8_t)(qk_rne(qk_clamp(v, lo, hi)) + zy);
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
    .lstm_cell = lstm_cell,
    .gru_cell = gru_cell,
};
