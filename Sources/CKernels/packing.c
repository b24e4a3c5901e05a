#include "common.h"
#include "f32-winograd/winograd-points.h"

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

// Depth of one tap of a panel of bytes.
static size_t padded_depth(enum qk_isa isa, size_t kc) {
  if (isa != QK_ISA_AMX || kc == 0) return qk_round_up(kc, 4);
  const size_t step = qk_tile_depth(kc);
  return qk_round_up(kc, step);
}

size_t qk_panel_bytes(enum qk_dtype dtype, enum qk_isa isa, size_t nr, size_t kc, size_t taps) {
  return dtype == QK_F32 ? nr * kc * taps * sizeof(float) : nr * padded_depth(isa, kc) * taps;
}

struct strides {
  size_t n, t, k;
};

struct source {
  enum qk_source type;
  const void *base;
  struct strides strides;
  float factor;
};

// Where a panel's elements go: the depth of `run` neighbouring taps lies together, that of a run starts at `run_depth`.
struct panel {
  size_t columns, taps, kc, run, run_depth, nr;
  char *base;
};

static size_t first_depth(const struct panel *panel, size_t tap) {
  return tap / panel->run * panel->run_depth + tap % panel->run * panel->kc;
}

// Depth that is packed column by column before the next: long enough for reads of a column to run over several cache
// lines, short enough for the part of the panel that all columns write to stay in the L1 or L2 cache.
static size_t depth_of_block(size_t taps) { return taps >= 8 ? 64 : 512 / taps / 4 * 4; }

static void pack_floats(struct source source, size_t first, struct panel panel) {
  float *const base = (float *)(void *)panel.base;
  const size_t block = depth_of_block(panel.taps);
  for (size_t k0 = 0; k0 < panel.kc; k0 += block) {
    const size_t k1 = qk_min(panel.kc, k0 + block);
    for (size_t j = 0; j < panel.columns; j++) {
      for (size_t t = 0; t < panel.taps; t++) {
        const size_t at = (first + j) * source.strides.n + t * source.strides.t;
        float *to = base + first_depth(&panel, t) * panel.nr + j;
        for (size_t k = k0; k < k1; k++) {
          to[k * panel.nr] = load_float(source.type, source.base, at + k * source.strides.k) * source.factor;
        }
      }
    }
  }
}

static void pack_byte(const struct panel *panel, size_t depth, size_t j, int8_t value) {
  panel->base[depth / 4 * panel->nr * 4 + j * 4 + depth % 4] = value;
}

// Packs depth k0 to k1 of one tap of one column, four bytes at a time where they come together.
QK_INLINE void pack_run(const int8_t *from, size_t sk, size_t k0, size_t k1, size_t depth, size_t j,
                        const struct panel *panel) {
  size_t k = k0;
  if ((depth + k0) % 4 == 0) {
    const size_t step = panel->nr * 4;
    char *to = panel->base + (depth + k0) / 4 * step + j * 4;
    const uint8_t *at = (const uint8_t *)from + k0 * sk;
    for (; k + 4 <= k1; k += 4, to += step, at += 4 * sk) {
      uint32_t four;
      if (sk == 1) {
        memcpy(&four, at, 4);
      } else {
        four = (uint32_t)at[0] | (uint32_t)at[sk] << 8 | (uint32_t)at[2 * sk] << 16 | (uint32_t)at[3 * sk] << 24;
      }
      memcpy(to, &four, 4);
    }
  }
  for (; k < k1; k++) pack_byte(panel, depth + k, j, from[k * sk]);
}

static void pack_bytes(struct source source, size_t first, struct panel panel) {
  const size_t sk = source.strides.k;
  const size_t block = depth_of_block(panel.taps);
  for (size_t k0 = 0; k0 < panel.kc; k0 += block) {
    const size_t k1 = qk_min(panel.kc, k0 + block);
    for (size_t j = 0; j < panel.columns; j++) {
      for (size_t t = 0; t < panel.taps; t++) {
        const int8_t *from = (const int8_t *)source.base + (first + j) * source.strides.n + t * source.strides.t;
        const size_t depth = first_depth(&panel, t);
        if (sk == 1) {
          pack_run(from, 1, k0, k1, depth, j, &panel);
        } else if (sk == 9) {
          pack_run(from, 9, k0, k1, depth, j, &panel);
        } else {
          pack_run(from, sk, k0, k1, depth, j, &panel);
        }
      }
    }
  }
}

// Adds up each column over taps and depth, in the order of memory.
static void add_columns(struct source source, size_t columns, size_t taps, size_t kc, int32_t *sums) {
  const int8_t *base = source.base;
  const struct strides s = source.strides;
  memset(sums, 0, columns * sizeof(int32_t));
  const bool is_dense = (s.k == 1 && s.t == kc) || (s.t == 1 && s.k == taps);
  if (is_dense) {
    for (size_t n = 0; n < columns; n++) {
      int32_t sum = 0;
      for (size_t i = 0; i < taps * kc; i++) sum += base[n * s.n + i];
      sums[n] = sum;
    }
    return;
  }
  for (size_t t = 0; t < taps; t++) {
    for (size_t k = 0; k < kc; k++) {
      const int8_t *row = base + t * s.t + k * s.k;
      for (size_t n = 0; n < columns; n++) sums[n] += row[n * s.n];
    }
  }
}

void qk_pack_weights(enum qk_dtype dtype, enum qk_isa isa, enum qk_source source_type, const void *from,
                     size_t columns, size_t taps, size_t run, size_t kc, size_t sn, size_t st, size_t sk, size_t nr,
                     float factor, void *packed, int32_t *sums) {
  const struct source source = {source_type, from, {sn, st, sk}, factor};
  const size_t run_depth = dtype == QK_F32 ? run * kc : padded_depth(isa, run * kc);
  const size_t panel_bytes = qk_panel_bytes(dtype, isa, nr, run * kc, taps / run);
  const bool has_gaps = run_depth != run * kc;
  for (size_t first = 0; first < columns; first += nr) {
    const struct panel panel = {qk_min(nr, columns - first), taps, kc, run, run_depth, nr,
                                (char *)packed + first / nr * panel_bytes};
    if (has_gaps || panel.columns < nr) memset(panel.base, 0, panel_bytes);
    if (dtype == QK_F32) {
      pack_floats(source, first, panel);
    } else {
      pack_bytes(source, first, panel);
    }
  }
  if (dtype == QK_QU8) add_columns(source, columns, taps, kc, sums);
}

// G of F(tile x tile, 3x3) for the transforms of f32-winograd-template.h.
static void winograd_filter(size_t tile, double g[6][3]) {
  const double a = QK_WINOGRAD_A, b = QK_WINOGRAD_B;
  const double points[2][5] = {{0, 1, -1}, {0, a, -a, b, -b}};
  const double *p = points[tile / 4];
  for (size_t i = 0; i <= tile; i++) {
    double scale = 1;
    for (size_t j = 0; j <= tile; j++) scale *= i == j ? 1 : p[i] - p[j];
    for (size_t k = 0; k < 3; k++) g[i][k] = (k == 0 ? 1 : k == 1 ? p[i] : p[i] * p[i]) / scale;
  }
  g[tile + 1][0] = g[tile + 1][1] = 0;
  g[tile + 1][2] = 1;
}

size_t qk_winograd_packed_bytes(size_t columns, size_t kc, size_t nr, size_t tile) {
  return qk_ceil_div(columns, nr) * (tile + 2) * (tile + 2) * kc * nr * sizeof(float);
}

// Columns that are transformed side by side: a cache line of each position.
#define SIDE_BY_SIDE 16

// Transforms depth k of some columns from `first` on; `plane` floats lie between positions.
static void transform_weights(struct source source, size_t first, size_t columns, size_t k, size_t n, double g[6][3],
                              float *to, size_t plane) {
  double w[9][SIDE_BY_SIDE] = {{0}}, rows[6][3][SIDE_BY_SIDE];
  for (size_t j = 0; j < columns; j++) {
    const size_t at = (first + j) * source.strides.n + k * source.strides.k;
    for (size_t t = 0; t < 9; t++) {
      w[t][j] = load_float(source.type, source.base, at + t * source.strides.t) * source.factor;
    }
  }
  for (size_t i = 0; i < n; i++) {
    for (size_t x = 0; x < 3; x++) {
      for (size_t j = 0; j < SIDE_BY_SIDE; j++) {
        rows[i][x][j] = g[i][0] * w[x][j] + g[i][1] * w[3 + x][j] + g[i][2] * w[6 + x][j];
      }
    }
  }
  for (size_t i = 0; i < n * n; i++) {
    const double *row = rows[i / n][0], *column = g[i % n];
    float sums[SIDE_BY_SIDE];
    for (size_t j = 0; j < SIDE_BY_SIDE; j++) {
      sums[j] = (float)(row[j] * column[0] + row[SIDE_BY_SIDE + j] * column[1] + row[2 * SIDE_BY_SIDE + j] * column[2]);
    }
    memcpy(to + i * plane, sums, columns * sizeof(float));
  }
}

void qk_winograd_pack(enum qk_source source_type, const void *source, size_t columns, size_t kc, size_t sn, size_t st,
                      size_t sk, size_t nr, size_t tile, float factor, void *packed) {
  const struct source from = {source_type, source, {sn, st, sk}, factor};
  const size_t n = tile + 2, plane = kc * nr;
  double g[6][3];
  winograd_filter(tile, g);
  if (columns % nr != 0) memset(packed, 0, qk_winograd_packed_bytes(columns, kc, nr, tile));
  for (size_t first = 0; first < columns;) {
    const size_t count = qk_min(SIDE_BY_SIDE, qk_min(columns, qk_round_up(first + 1, nr)) - first);
    float *to = (float *)packed + first / nr * n * n * plane + first % nr;
    for (size_t k = 0; k < kc; k++) transform_weights(from, first, count, k, n, g, to + k * nr, plane);
    first += count;
  }
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

size_t qk_dwrow_packed_bytes(size_t channels, size_t kh, size_t kw) {
  return qk_round_up(channels, 64) * kw * qk_round_up(kh, 4);
}

void qk_dwrow_pack(const void *source, size_t channels, size_t kh, size_t kw, size_t sc, size_t st, void *packed,
                   int32_t *sums) {
  const size_t quads = qk_ceil_div(kh, 4);
  memset(packed, 0, qk_dwrow_packed_bytes(channels, kh, kw));
  for (size_t c = 0; c < channels; c++) {
    const size_t group = c % 64 / 16, vector = c % 16 / 4, element = c % 4;
    int32_t sum = 0;
    for (size_t y = 0; y < kh; y++) {
      for (size_t x = 0; x < kw; x++) {
        const int8_t value = ((const int8_t *)source)[c * sc + (y * kw + x) * st];
        const size_t column = (c / 64 * kw + x) * quads + y / 4;
        ((int8_t *)packed)[column * 256 + vector * 64 + group * 16 + element * 4 + y % 4] = value;
        sum += value;
      }
    }
    sums[c] = sum;
  }
}
