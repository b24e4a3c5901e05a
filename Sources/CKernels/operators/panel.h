// What products of f32 matrices that are known at run time only share.
#pragma once

#include "../common.h"

// Columns of the widest panel.
#define MAX_COLUMNS 64

// The tail that changes no sum, not even that of no products or of -0.
QK_INLINE struct qk_tail qk_bare_tail(void) {
  static const float nothing[MAX_COLUMNS] = {
#define EIGHT -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f
      EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT};
#undef EIGHT
  return (struct qk_tail){.kind = QK_TAIL_F32, .lo = -INFINITY, .hi = INFINITY, .bias = nothing};
}

typedef float qk_four __attribute__((ext_vector_type(4)));

QK_INLINE qk_four qk_load_four(const float *x) {
  qk_four v;
  memcpy(&v, x, sizeof v);
  return v;
}

// Turns 4 columns of 4 neighbours each, `column` elements apart, into 4 rows that are nr elements apart.
QK_INLINE void qk_turn_4x4(const float *from, size_t column, float *to, size_t nr) {
  const qk_four a = qk_load_four(from), b = qk_load_four(from + column);
  const qk_four c = qk_load_four(from + 2 * column), d = qk_load_four(from + 3 * column);
  const qk_four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const qk_four ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  const qk_four rows[4] = {
      __builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
      __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5), __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7)};
  for (size_t i = 0; i < 4; i++) memcpy(to + i * nr, &rows[i], sizeof rows[i]);
}

// Packs `columns` <= nr columns of `depth` elements as qk_pack_weights does: element (k, j) is b[k * row + j * column].
static inline void qk_pack_panel(const float *b, size_t row, size_t column, size_t depth, size_t columns, size_t nr,
                          float *packed) {
  if (columns < nr) memset(packed, 0, depth * nr * sizeof(float));
  const size_t fours = row == 1 ? columns / 4 * 4 : 0, deep = depth / 4 * 4;
  for (size_t j = 0; j < fours; j += 4) {
    for (size_t k = 0; k < deep; k += 4) qk_turn_4x4(b + j * column + k, column, packed + k * nr + j, nr);
  }
  for (size_t k = 0; k < depth; k++) {
    float *to = packed + k * nr;
    const float *from = b + k * row;
    if (column == 1) memcpy(to, from, columns * sizeof(float));
    else for (size_t j = k < deep ? fours : 0; j < columns; j++) to[j] = from[j * column];
  }
}
