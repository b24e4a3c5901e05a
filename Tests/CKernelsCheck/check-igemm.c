#include "check.h"

#include <math.h>

// Extents of one product and where its rows lie.
struct shape {
  size_t rows, cols, kc, taps;
  enum { EVEN, ONE_OFF, SHUFFLED, REPEATED } order;
};

struct operands {
  enum qk_dtype dtype;
  size_t size; // bytes of an activation
  const char *x;
  const char *w;             // [cols][taps][kc]
  const size_t *places;      // [taps][rows]: row of x
  const struct qk_tail *tail;
};

// Packs for a kernel and runs it; the result has rows of `stride` bytes.
static void run(const struct qk_igemm_ukernel *kernel, const struct shape *s, const struct operands *o, char *out,
                size_t stride) {
  const size_t nr = kernel->nr, mr = kernel->mr;
  const size_t panel_bytes = qk_panel_bytes(o->dtype, kernel->isa, nr, s->kc, s->taps);
  const size_t panels = (s->cols + nr - 1) / nr;
  char *packed = guarded(panels * panel_bytes, 64);
  memset(packed, 0x55, panels * panel_bytes);
  int32_t sums[64];
  qk_pack_weights(o->dtype, kernel->isa, o->dtype == QK_F32 ? QK_SOURCE_F32 : QK_SOURCE_S8, o->w, s->cols, s->taps, 1,
                  s->kc, s->taps * s->kc, s->kc, 1, nr, 1.0f, packed, sums);
  const void **pointers = malloc(mr * s->taps * sizeof(void *));
  for (size_t first = 0; first < s->rows; first += mr) {
    const size_t rows = s->rows - first < mr ? s->rows - first : mr;
    for (size_t t = 0; t < s->taps; t++) {
      for (size_t i = 0; i < mr; i++) {
        const size_t place = o->places[t * s->rows + first + (i < rows ? i : rows - 1)];
        pointers[t * mr + i] = o->x + place * s->kc * o->size;
      }
    }
    for (size_t column = 0; column < s->cols; column += nr) {
      struct qk_tail tail = *o->tail;
      tail.bias += column;
      tail.scale += column;
      tail.start += column;
      tail.row_scale += first;
      tail.row_zero_point += first;
      kernel->function(rows, s->cols - column < nr ? s->cols - column : nr, s->kc, s->taps, pointers,
                       packed + column / nr * panel_bytes, out + first * stride + column * tail_element_size(tail.kind),
                       stride, &tail);
    }
  }
  free(pointers);
}

// Whether float results are as close as different orders and fused multiply-adds allow.
static bool is_close(const char *got, const char *expected, const struct shape *s, size_t stride) {
  const float limit = 1e-7f * (float)(s->kc * s->taps) + 1e-6f;
  for (size_t i = 0; i < s->rows; i++) {
    const float *a = (const float *)(const void *)(got + i * stride);
    const float *b = (const float *)(const void *)(expected + i * stride);
    for (size_t j = 0; j < s->cols; j++) {
      if (!(fabsf(a[j] - b[j]) <= limit)) return false;
    }
  }
  return true;
}

// A row of results is one element longer than its columns; that element and a row after the last must not change.
static void check(const struct qk_igemm_ukernel *kernel, enum qk_dtype dtype, const struct shape *s,
                  enum qk_tail_kind kind) {
  const size_t size = dtype == QK_F32 ? 4 : 1, lines = s->rows * s->taps;
  const size_t width = (s->cols + kernel->nr - 1) / kernel->nr * kernel->nr + 8;
  char *x = guarded(lines * s->kc * size, dtype == QK_F32 ? 4 : 0), *w = malloc(s->cols * s->taps * s->kc * size);
  if (dtype == QK_F32) {
    fill_floats((float *)(void *)x, lines * s->kc, -1, 1);
    fill_floats((float *)(void *)w, s->cols * s->taps * s->kc, -1, 1);
  } else {
    fill_bytes(x, lines * s->kc, 0);
    fill_bytes(w, s->cols * s->taps * s->kc, 128);
    memset(x + lines * s->kc, 255, QK_TAIL_PADDING);
  }
  size_t *places = malloc(lines * sizeof(size_t));
  for (size_t i = 0; i < lines; i++) {
    places[i] = s->order == SHUFFLED ? number(0, lines - 1) : s->order == REPEATED ? i / s->rows * s->rows : i;
  }
  if (s->order == ONE_OFF) places[number(0, lines - 1)] = number(0, lines - 1);
  const struct qk_tail tail = random_tail(kind, width);
  const struct operands operands = {dtype, size, x, w, places, &tail};
  const size_t stride = (s->cols + 1) * tail_element_size(kind), bytes = (s->rows + 1) * stride;
  char *expected = malloc(bytes), *got = malloc(bytes);
  memset(expected, 0x66, bytes);
  // What is added lies where the result goes.
  for (size_t i = 0; i < s->rows && kind == QK_TAIL_ADD; i++) fill_bytes(expected + i * stride, s->cols, 0);
  memcpy(got, expected, bytes);
  run(qk_igemm_ukernel(dtype, QK_ISA_PORTABLE, 8, s->rows), s, &operands, expected, stride);
  run(kernel, s, &operands, got, stride);
  const bool agrees = dtype == QK_F32 ? is_close(got, expected, s, stride) : memcmp(got, expected, bytes) == 0;
  expect(agrees, "%s: rows %zu cols %zu kc %zu taps %zu order %d tail %d", kernel->name, s->rows, s->cols, s->kc,
         s->taps, (int)s->order, (int)kind);
  for (size_t i = 0; i < s->rows; i++) {
    expect(memcmp(got + i * stride + s->cols * tail_element_size(kind), "ffff", tail_element_size(kind)) == 0,
           "%s writes past column %zu", kernel->name, s->cols);
  }
  free(places);
  free(expected);
  free(got);
  free(w);
  release_guarded();
}

static void check_kernel(const struct qk_igemm_ukernel *kernel, enum qk_dtype dtype) {
  static const size_t depths[] = {1,  2,  3,  4,  5,  7,  8,  15, 16,  17,  24,  31,  32,
                                  33, 48, 60, 63, 64, 65, 67, 96, 127, 128, 129, 192, 200};
  const size_t mr = kernel->mr, nr = kernel->nr;
  for (size_t rows = 1; rows <= mr; rows++) {
    for (size_t cols = 1; cols <= nr; cols++) {
      const bool is_edge = rows == 1 || rows == mr || cols == 1 || cols == nr || number(0, 7) == 0;
      if (!is_edge) continue;
      const struct shape s = {rows, cols, depths[number(0, 25)], number(0, 2) == 0 ? 9 : number(1, 3),
                              number(EVEN, REPEATED)};
      check(kernel, dtype, &s, dtype == QK_F32 ? QK_TAIL_F32 : (enum qk_tail_kind)number(1, 5));
    }
  }
  for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
    for (size_t order = EVEN; order <= REPEATED; order++) {
      for (size_t taps = 1; taps <= 3; taps += 2) {
        const struct shape s = {mr, nr, depths[i], taps, order};
        check(kernel, dtype, &s, dtype == QK_F32 ? QK_TAIL_F32 : QK_TAIL_SUMS);
      }
    }
  }
}

// All bytes at their extremes and the longest depth of which every sum fits.
static void check_extremes(const struct qk_igemm_ukernel *kernel) {
  const struct shape s = {kernel->mr, kernel->nr, 65536, 1, REPEATED};
  const size_t count = s.rows * s.cols;
  char *x = guarded(s.kc, 0), *w = malloc(s.kc * s.cols);
  size_t places[UINT8_MAX] = {0};
  int32_t *got = malloc(count * sizeof(int32_t));
  const struct qk_tail tail = random_tail(QK_TAIL_SUMS, s.cols + 8);
  const struct operands operands = {QK_QU8, 1, x, w, places, &tail};
  memset(x, 255, s.kc + QK_TAIL_PADDING);
  for (int weight = -128; weight <= 127; weight += 255) {
    memset(w, weight, s.kc * s.cols);
    run(kernel, &s, &operands, (char *)got, s.cols * sizeof(int32_t));
    for (size_t i = 0; i < count; i++) {
      const int32_t sum = 255 * weight * (int32_t)s.kc + tail.start[i % s.cols];
      expect(got[i] == sum, "%s: sum of extremes %d instead of %d", kernel->name, got[i], sum);
    }
  }
  free(got);
  free(w);
  release_guarded();
}

void check_igemm(enum qk_isa isa) {
  restart_numbers();
  for (int dtype = QK_F32; dtype <= QK_QU8; dtype++) {
    size_t count;
    const struct qk_igemm_ukernel *table = qk_igemm_table((enum qk_dtype)dtype, &count);
    for (size_t i = 0; i < count; i++) {
      if (table[i].isa != isa) continue;
      check_kernel(&table[i], (enum qk_dtype)dtype);
      if (dtype == QK_QU8) check_extremes(&table[i]);
    }
  }
}
