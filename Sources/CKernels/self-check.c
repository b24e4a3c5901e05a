#include "common.h"

// A block of all rows and columns of a kernel or fewer, with a depth of two steps and a second tap whose rows are not
// evenly spaced.
#define ROWS 32
#define COLUMNS 32
#define DEPTH 76
#define TAPS 2
#define ROW_BYTES (DEPTH + 4)

struct operands {
  _Alignas(64) uint8_t rows[TAPS * ROWS * ROW_BYTES + QK_TAIL_PADDING];
  int8_t weights[COLUMNS * TAPS * DEPTH];
  int32_t start[COLUMNS];
  float unused[COLUMNS]; // vector kernels read scales even where sums are asked for
};

static uint32_t next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 16;
}

static void products(enum qk_isa isa, size_t all_rows, size_t all_columns, const struct operands *operands,
                     int32_t *out) {
  _Alignas(64) char packed[COLUMNS * TAPS * 2 * 64];
  int32_t sums[COLUMNS];
  const size_t nr = qk_igemm_panel_width(QK_QU8, isa, COLUMNS, TAPS * DEPTH);
  const size_t panel_bytes = qk_panel_bytes(QK_QU8, isa, nr, DEPTH, TAPS);
  qk_pack_weights(QK_QU8, isa, QK_SOURCE_S8, operands->weights, COLUMNS, TAPS, 1, DEPTH, TAPS * DEPTH, DEPTH, 1, nr,
                  1.0f, packed, sums);
  const struct qk_igemm_ukernel *kernel = qk_igemm_ukernel(QK_QU8, isa, nr, ROWS);
  for (size_t first = 0; first < all_rows; first += kernel->mr) {
    const size_t rows = qk_min(kernel->mr, all_rows - first);
    const void *pointers[TAPS * UINT8_MAX];
    for (size_t i = 0; i < kernel->mr; i++) {
      const size_t row = first + qk_min(i, rows - 1);
      pointers[i] = operands->rows + row * ROW_BYTES;
      pointers[kernel->mr + i] = operands->rows + (ROWS + (row * 7 + 3) % ROWS) * ROW_BYTES;
    }
    for (size_t column = 0; column < all_columns; column += nr) {
      const struct qk_tail tail = {.kind = QK_TAIL_SUMS,
                                   .start = operands->start + column,
                                   .scale = operands->unused + column,
                                   .bias = operands->unused + column};
      kernel->function(rows, qk_min(nr, all_columns - column), DEPTH, TAPS, pointers,
                       packed + column / nr * panel_bytes, out + first * COLUMNS + column, COLUMNS * sizeof(int32_t),
                       &tail);
    }
  }
}

bool qk_self_check(enum qk_isa isa) {
  struct operands operands = {0};
  int32_t expected[ROWS * COLUMNS], got[ROWS * COLUMNS];
  uint32_t state = 1;
  for (size_t i = 0; i < sizeof(operands.rows); i++) operands.rows[i] = (uint8_t)next(&state);
  for (size_t i = 0; i < sizeof(operands.weights); i++) operands.weights[i] = (int8_t)next(&state);
  for (size_t i = 0; i < COLUMNS; i++) operands.start[i] = (int32_t)next(&state);
  bool agrees = true;
  for (size_t parts = 1; parts <= 4; parts++) {
    const size_t rows = ROWS / parts - parts / 3, columns = COLUMNS / parts;
    memset(expected, 0, sizeof(expected));
    memset(got, 0, sizeof(got));
    products(QK_ISA_PORTABLE, rows, columns, &operands, expected);
    products(isa, rows, columns, &operands, got);
    agrees = agrees && memcmp(got, expected, sizeof(got)) == 0;
  }
  qk_release_tiles();
  return agrees;
}
