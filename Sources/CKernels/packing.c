#include "common.h"

static float half_to_float(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31, mantissa = half & 0x3FF;
  union {
    uint32_t i;
    float f;
  } u;
  if (exponent == 0) {
    u.f = (float)mantissa * 0x1p-24f;
    u.i |= sign;
  } else if (exponent == 31) {
    u.i = sign | 0x7F800000 | mantissa << 13;
  } else {
    u.i = sign | (exponent + 112) << 23 | mantissa << 13;
  }
  return u.f;
}

QK_INLINE float load_float(enum qk_source type, const void *source, size_t index) {
  return type == QK_SOURCE_F16 ? half_to_float(((const uint16_t *)source)[index]) : ((const float *)source)[index];
}

size_t qk_panel_bytes(enum qk_dtype dtype, size_t nr, size_t kc, size_t taps) {
  return dtype == QK_F32 ? nr * kc * taps * sizeof(float) : nr * qk_round_up(kc, 4) * taps;
}

struct strides {
  size_t n, t, k;
};

// Element (t, k) of a column lies at depth `t * tap_depth + k` of its panel.
static void pack(enum qk_dtype dtype, enum qk_source source_type, const void *source, size_t columns, size_t taps,
                 size_t kc, struct strides strides, size_t tap_depth, size_t panel_bytes, size_t nr, float factor,
                 void *packed, int32_t *sums) {
  memset(packed, 0, panel_bytes * qk_ceil_div(columns, nr));
  for (size_t n = 0; n < columns; n++) {
    char *panel = (char *)packed + n / nr * panel_bytes;
    const size_t j = n % nr;
    int32_t sum = 0;
    for (size_t t = 0; t < taps; t++) {
      const size_t at = n * strides.n + t * strides.t, depth = t * tap_depth;
      if (dtype == QK_F32) {
        float *to = (float *)(void *)panel + depth * nr + j;
        for (size_t k = 0; k < kc; k++) to[k * nr] = load_float(source_type, source, at + k * strides.k) * factor;
        continue;
      }
      for (size_t k = 0; k < kc; k++) {
        const int8_t value = ((const int8_t *)source)[at + k * strides.k];
        panel[(depth + k) / 4 * nr * 4 + j * 4 + (depth + k) % 4] = value;
        sum += value;
      }
    }
    if (dtype == QK_QU8) sums[n] = sum;
  }
}

void qk_pack_weights(enum qk_dtype dtype, enum qk_source source_type, const void *source, size_t columns, size_t taps,
                     size_t kc, size_t sn, size_t st, size_t sk, size_t nr, float factor, void *packed, int32_t *sums) {
  const size_t tap_depth = dtype == QK_F32 ? kc : qk_round_up(kc, 4);
  pack(dtype, source_type, source, columns, taps, kc, (struct strides){sn, st, sk}, tap_depth,
       qk_panel_bytes(dtype, nr, kc, taps), nr, factor, packed, sums);
}

void qk_pack_gathered_weights(enum qk_dtype dtype, enum qk_source source_type, const void *source, size_t columns,
                              size_t taps, size_t kc, size_t sn, size_t st, size_t sk, size_t nr, float factor,
                              void *packed, int32_t *sums) {
  pack(dtype, source_type, source, columns, taps, kc, (struct strides){sn, st, sk}, kc,
       qk_panel_bytes(dtype, nr, kc * taps, 1), nr, factor, packed, sums);
}

size_t qk_dw_packed_bytes(enum qk_dtype dtype, size_t channels, size_t taps) {
  return dtype == QK_F32 ? channels * taps * sizeof(float)
                         : qk_round_up(channels, 32) * qk_round_up(taps, 2) * sizeof(int16_t);
}

void qk_dw_pack(enum qk_dtype dtype, enum qk_source source_type, const void *source, size_t channels, size_t taps,
                size_t sc, size_t st, void *packed, int32_t *sums) {
  memset(packed, 0, qk_dw_packed_bytes(dtype, channels, taps));
  const size_t block = qk_round_up(taps, 2) * 32;
  for (size_t c = 0; c < channels; c++) {
    int32_t sum = 0;
    for (size_t t = 0; t < taps; t++) {
      const size_t at = c * sc + t * st;
      if (dtype == QK_F32) {
        ((float *)packed)[t * channels + c] = load_float(source_type, source, at);
      } else {
        const int8_t value = ((const int8_t *)source)[at];
        ((int16_t *)packed)[c / 32 * block + t / 2 * 64 + c % 32 * 2 + t % 2] = value;
        sum += value;
      }
    }
    if (dtype == QK_QU8) sums[c] = sum;
  }
}
