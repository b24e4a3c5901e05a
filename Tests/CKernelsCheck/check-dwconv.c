#include "check.h"

#include <math.h>

struct shape {
  size_t pixels, channels, taps;
};

static void run(const struct qk_dwconv_ukernel *kernel, enum qk_dtype dtype, const struct shape *s, const char *x,
                const char *w, const struct qk_tail *tail, char *out, size_t stride) {
  const size_t size = dtype == QK_F32 ? 4 : 1, lines = s->pixels * s->taps;
  char *packed = guarded(qk_dw_packed_bytes(dtype, s->channels, s->taps), 64);
  int32_t *sums = malloc(s->channels * sizeof(int32_t));
  qk_dw_pack(dtype, dtype == QK_F32 ? QK_SOURCE_F32 : QK_SOURCE_S8, w, s->channels, s->taps, s->taps, 1, packed, sums);
  const void **pointers = malloc(lines * sizeof(void *));
  for (size_t i = 0; i < lines; i++) pointers[i] = x + i * s->channels * size;
  kernel->function(s->pixels, s->channels, s->taps, pointers, packed, out, stride, tail);
  free(pointers);
  free(sums);
}

static void check(const struct qk_dwconv_ukernel *kernel, enum qk_dtype dtype, const struct shape *s) {
  const size_t size = dtype == QK_F32 ? 4 : 1, lines = s->pixels * s->taps;
  const enum qk_tail_kind kind = dtype == QK_F32 ? QK_TAIL_F32 : (enum qk_tail_kind)number(1, 3);
  char *x = guarded(lines * s->channels * size, dtype == QK_F32 ? 4 : 0), *w = malloc(s->channels * s->taps * size);
  if (dtype == QK_F32) {
    fill_floats((float *)(void *)x, lines * s->channels, -1, 1);
    fill_floats((float *)(void *)w, s->channels * s->taps, -1, 1);
  } else {
    fill_bytes(x, lines * s->channels, 0);
    fill_bytes(w, s->channels * s->taps, 128);
  }
  // Padded as qk_conv_run asks for.
  const struct qk_tail tail = random_tail(kind, (s->channels + 63) / 64 * 64);
  const size_t stride = (s->channels + 1) * tail_element_size(kind), bytes = s->pixels * stride;
  char *expected = malloc(bytes), *got = malloc(bytes);
  memset(expected, 0x66, bytes);
  memset(got, 0x66, bytes);
  run(qk_dwconv_ukernel(dtype, QK_ISA_PORTABLE), dtype, s, x, w, &tail, expected, stride);
  run(kernel, dtype, s, x, w, &tail, got, stride);
  bool agrees = true;
  for (size_t i = 0; i < s->pixels; i++) {
    const char *a = got + i * stride, *b = expected + i * stride;
    for (size_t c = 0; dtype == QK_F32 && c < s->channels; c++) {
      const float *p = (const float *)(const void *)a, *q = (const float *)(const void *)b;
      agrees = agrees && fabsf(p[c] - q[c]) <= 1e-6f * (float)s->taps;
    }
    const size_t from = dtype == QK_F32 ? s->channels * 4 : 0;
    agrees = agrees && memcmp(a + from, b + from, stride - from) == 0;
  }
  expect(agrees, "%s: pixels %zu channels %zu taps %zu tail %d", kernel->name, s->pixels, s->channels, s->taps,
         (int)kind);
  free(expected);
  free(got);
  free(w);
  release_guarded();
}

void check_dwconv(enum qk_isa isa) {
  restart_numbers();
  for (int dtype = QK_F32; dtype <= QK_QU8; dtype++) {
    size_t count;
    const struct qk_dwconv_ukernel *table = qk_dwconv_table((enum qk_dtype)dtype, &count);
    for (size_t i = 0; i < count; i++) {
      if (table[i].isa != isa) continue;
      for (size_t channels = 1; channels <= 130; channels++) {
        const struct shape s = {number(1, 5), channels, number(0, 3) == 0 ? 9 : number(1, 26)};
        check(&table[i], (enum qk_dtype)dtype, &s);
      }
      for (size_t taps = 1; taps <= 26; taps++) {
        const struct shape s = {1, number(30, 40), taps};
        check(&table[i], (enum qk_dtype)dtype, &s);
      }
    }
  }
}
