#include "check.h"

#include <float.h>
#include <math.h>

#define MOST 1100

// Operands and two results, each followed by what must not change.
static struct {
  float x[MOST], y[MOST], expected[MOST], got[MOST];
  uint8_t a[MOST], b[MOST], expected_bytes[MOST], got_bytes[MOST], table[256];
  int32_t sums[MOST];
} d;

static void prepare(size_t n) {
  static const float special[] = {0.0f,   -0.0f, INFINITY, -INFINITY, NAN,   FLT_MIN,
                                  1e-40f, 0.5f,  -2.5f,    FLT_MAX,   88.8f, -104.0f};
  for (size_t i = 0; i < n; i++) {
    d.x[i] = number(0, 9) == 0 ? special[number(0, 11)] : real(-12, 12);
    d.y[i] = number(0, 9) == 0 ? special[number(0, 11)] : real(-3, 3);
    d.sums[i] = (int32_t)number(0, 200000) - 100000;
  }
  fill_bytes(d.a, n, 0);
  fill_bytes(d.b, n, 0);
  fill_bytes(d.table, 256, 0);
  memset(d.expected, 0x66, sizeof(d.expected));
  memset(d.got, 0x66, sizeof(d.got));
  memset(d.expected_bytes, 0x66, MOST);
  memset(d.got_bytes, 0x66, MOST);
}

static void judge(const struct qk_vector_ops *ops, size_t n, const char *function) {
  const bool agrees = same_floats(d.expected, d.got, MOST) && memcmp(d.expected_bytes, d.got_bytes, MOST) == 0;
  expect(agrees, "%s %s: n %zu", ops->name, function, n);
  add_floats_to_digest(d.expected, n);
  add_bytes_to_digest(d.expected_bytes, n);
}

// Runs a function of both tables on the results.
#define BOTH(FUNCTION, ...)                                                                                            \
  {                                                                                                                    \
    prepare(n);                                                                                                        \
    const struct qk_vector_ops *v = qk_vector_ops(QK_ISA_PORTABLE);                                                    \
    float *out = d.expected;                                                                                           \
    uint8_t *bytes = d.expected_bytes;                                                                                 \
    v->FUNCTION(__VA_ARGS__);                                                                                          \
    v = ops;                                                                                                           \
    out = d.got;                                                                                                       \
    bytes = d.got_bytes;                                                                                               \
    v->FUNCTION(__VA_ARGS__);                                                                                          \
    (void)out;                                                                                                         \
    (void)bytes;                                                                                                       \
    judge(ops, n, #FUNCTION);                                                                                          \
  }

static void check_bytes(const struct qk_vector_ops *ops, size_t n) {
  const uint8_t z = (uint8_t)number(0, 255), lowest = number(0, 1) ? z : 0;
  const struct qk_u8_clamp clamp = {z, lowest, 255};
  const float m = real(1e-3f, 2), scale = number(0, 3) == 0 ? 0x1p-120f : real(1e-3f, 0.5f);
  for (int multiply = 0; multiply < 2; multiply++) {
    const uint8_t za = (uint8_t)number(0, 255), zb = (uint8_t)number(0, 255);
    const struct qk_u8_binary binary = {multiply, za, zb, m, real(1e-3f, 2), clamp};
    BOTH(binary_u8, n, d.a, d.b, bytes, &binary)
  }
  BOTH(table_u8, n, d.a, bytes, d.table)
  BOTH(quantize_u8, n, d.x, bytes, scale, z)
  BOTH(dequantize_u8, n, d.a, out, scale, z)
  BOTH(mean_u8, n, d.sums, bytes, 77, m / 100, &clamp)
  BOTH(max_u8, n, d.a, bytes)
  BOTH(accumulate_u8, n, d.a, (int32_t *)(void *)out)
}

// Quotients next to those halfway between two integers.
static void check_ties(const struct qk_vector_ops *ops, size_t n) {
  const float scale = real(1e-3f, 0.5f);
  for (int direction = -1; direction <= 1; direction++) {
    prepare(n);
    for (size_t i = 0; i < n; i++) {
      const float x = ((float)number(0, 600) - 300.5f) * scale;
      d.x[i] = direction == 0 ? x : nextafterf(x, direction < 0 ? -INFINITY : INFINITY);
    }
    qk_vector_ops(QK_ISA_PORTABLE)->quantize_u8(n, d.x, d.expected_bytes, scale, 128);
    ops->quantize_u8(n, d.x, d.got_bytes, scale, 128);
    judge(ops, n, "quantize_u8 of ties");
  }
}

// Cells overwrite their gates: they get copies of the operands at the start of the results.
static void check_cells(const struct qk_vector_ops *ops, size_t n) {
  if (n * 6 > MOST) return;
  for (int form = 0; form < 4; form++) {
    prepare(n * 5);
    for (int turn = 0; turn < 2; turn++) {
      const struct qk_vector_ops *v = turn == 0 ? qk_vector_ops(QK_ISA_PORTABLE) : ops;
      float *at = turn == 0 ? d.expected : d.got;
      memcpy(at, d.x, n * 5 * sizeof(float));
      struct qk_lstm_cell lstm = {{at, at + n, at + 2 * n, at + 3 * n}, {NULL, NULL, NULL}, at + 4 * n, at + 5 * n,
                                  form < 2 ? INFINITY : 1.5f, form % 2 == 1};
      if (form >= 2) lstm.peepholes[0] = lstm.peepholes[1] = lstm.peepholes[2] = d.y;
      v->lstm_cell(n, &lstm);
    }
    judge(ops, n * 6, "lstm_cell");
    prepare(n * 5);
    for (int turn = 0; turn < 2; turn++) {
      const struct qk_vector_ops *v = turn == 0 ? qk_vector_ops(QK_ISA_PORTABLE) : ops;
      float *at = turn == 0 ? d.expected : d.got;
      memcpy(at, d.x, n * 3 * sizeof(float));
      const struct qk_gru_cell gru = {{at, at + n, at + 2 * n}, form % 2 == 0 ? NULL : d.y, d.y + n, at + 3 * n,
                                      form < 2 ? INFINITY : 1.5f};
      v->gru_cell(n, &gru);
    }
    judge(ops, n * 4, "gru_cell");
  }
}

static void check_floats(const struct qk_vector_ops *ops, size_t n) {
  for (int f = QK_ADD; f <= QK_DIV; f++) {
    BOTH(binary_f32, n, d.x, d.y, out, (enum qk_float_binary)f)
    BOTH(binary_f32_scalar, n, d.x, 3.3f, out, (enum qk_float_binary)f)
  }
  BOTH(max_f32, n, d.x, out)
  BOTH(accumulate_f32, n, d.x, out)
  BOTH(scale_f32, n, out, 1.7f)
  for (int f = QK_IDENTITY; f <= QK_ELU; f++) {
    const struct qk_activation activation = {(enum qk_function)f, f == QK_CLIP ? -1.0f : 0.1f, 0.6f};
    BOTH(activate, n, d.x, out, &activation)
  }
  BOTH(range, n, d.x, out, out + 1)
  BOTH(exponentials, n, d.x, out)
  BOTH(softmax, n, d.x, out)
  if (n > 0) BOTH(layer_norm, n, d.x, d.y, n % 2 == 0 ? NULL : d.y, 1e-5f, out)
  check_cells(ops, n);
}

void check_vector(enum qk_isa isa) {
  restart_numbers();
  const struct qk_vector_ops *ops = qk_vector_ops(isa);
  for (size_t n = 0; n <= 140; n++) {
    check_bytes(ops, n);
    check_floats(ops, n);
  }
  for (int i = 0; i < 20; i++) check_ties(ops, 1000);
  check_bytes(ops, 1000);
  check_floats(ops, 1001);
}
