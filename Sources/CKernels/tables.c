// The enumerators as arrays, for dispatch and tests, and the choice among them.
#include "common.h"
#include "ukernels.h"

#define QK_UKERNEL(ISA, FUNCTION, MR, NR, KR) {#FUNCTION, QK_ISA_##ISA, FUNCTION, MR, NR, KR},
static const struct qk_igemm_ukernel qk_f32_igemm_ukernels[] = {
#include "f32-igemm/f32-igemm.inc"
};
static const struct qk_igemm_ukernel qk_qu8_igemm_ukernels[] = {
#include "qu8-igemm/qu8-igemm.inc"
};
#undef QK_UKERNEL
#define QK_UKERNEL(ISA, FUNCTION) {#FUNCTION, QK_ISA_##ISA, FUNCTION},
static const struct qk_dwconv_ukernel qk_f32_dwconv_ukernels[] = {
#include "f32-dwconv/f32-dwconv.inc"
};
static const struct qk_dwconv_ukernel qk_qu8_dwconv_ukernels[] = {
#include "qu8-dwconv/qu8-dwconv.inc"
};
#undef QK_UKERNEL
#define QK_UKERNEL(ISA, FUNCTION, KH, KW, S) {#FUNCTION, QK_ISA_##ISA, FUNCTION, KH, KW, S},
static const struct qk_dwrow_ukernel qk_f32_dwrow_ukernels[] = {
#include "f32-dwrow/f32-dwrow.inc"
    {NULL, QK_ISA_PORTABLE, NULL, 0, 0, 0}, // a table must not be empty
};
static const struct qk_dwrow_ukernel qk_qu8_dwrow_ukernels[] = {
#include "qu8-dwrow/qu8-dwrow.inc"
    {NULL, QK_ISA_PORTABLE, NULL, 0, 0, 0},
};
#undef QK_UKERNEL
#define QK_UKERNEL(ISA, INPUT, OUTPUT, TILE) {#INPUT, QK_ISA_##ISA, INPUT, OUTPUT, TILE},
static const struct qk_winograd_ukernel qk_f32_winograd_ukernels[] = {
#include "f32-winograd/f32-winograd.inc"
};
#undef QK_UKERNEL

#define QK_COUNT(ARRAY) (sizeof(ARRAY) / sizeof(ARRAY[0]))

struct igemm_table {
  const struct qk_igemm_ukernel *entries;
  size_t count;
};

static struct igemm_table igemm_table(enum qk_dtype dtype) {
  return dtype == QK_F32 ? (struct igemm_table){qk_f32_igemm_ukernels, QK_COUNT(qk_f32_igemm_ukernels)}
                         : (struct igemm_table){qk_qu8_igemm_ukernels, QK_COUNT(qk_qu8_igemm_ukernels)};
}

const struct qk_igemm_ukernel *qk_igemm_table(enum qk_dtype dtype, size_t *count) {
  *count = igemm_table(dtype).count;
  return igemm_table(dtype).entries;
}

// The best instruction set at most `isa` that has a kernel.
static enum qk_isa served_isa(struct igemm_table table, enum qk_isa isa) {
  enum qk_isa served = QK_ISA_PORTABLE;
  for (size_t i = 0; i < table.count; i++) {
    if (table.entries[i].isa <= isa && table.entries[i].isa > served) served = table.entries[i].isa;
  }
  return served;
}

// Panels are read once per block of rows, which should not go past the L2 cache.
#define PANEL_BYTES (768 * 1024)

size_t qk_igemm_panel_width(enum qk_dtype dtype, enum qk_isa isa, size_t columns, size_t depth) {
  const struct igemm_table table = igemm_table(dtype);
  const enum qk_isa served = served_isa(table, isa);
  size_t best = 0, best_cost = 0;
  for (size_t i = 0; i < table.count; i++) {
    const size_t nr = table.entries[i].nr;
    if (table.entries[i].isa != served) continue;
    if (best != 0 && nr > best && qk_panel_bytes(dtype, served, nr, depth, 1) > PANEL_BYTES) continue;
    // Narrow panels read activations more often: a panel costs its width and 4 columns more.
    const size_t cost = qk_ceil_div(columns, nr) * (nr + 4);
    if (best == 0 || cost < best_cost || (cost == best_cost && nr > best)) {
      best = nr;
      best_cost = cost;
    }
  }
  return best;
}

const struct qk_igemm_ukernel *qk_igemm_ukernel(enum qk_dtype dtype, enum qk_isa isa, size_t nr, size_t rows) {
  const struct igemm_table table = igemm_table(dtype);
  const enum qk_isa served = served_isa(table, isa);
  const struct qk_igemm_ukernel *best = NULL;
  for (size_t i = 0; i < table.count; i++) {
    const struct qk_igemm_ukernel *entry = &table.entries[i];
    if (entry->isa != served || entry->nr != nr) continue;
    const bool covers = entry->mr >= rows;
    if (best == NULL || (covers ? best->mr < rows || entry->mr < best->mr : best->mr < entry->mr)) best = entry;
  }
  return best;
}

// Time of one block: a kernel of few rows waits for its own sums.
static size_t block_cost(const struct qk_igemm_ukernel *kernel) { return kernel->mr < 4 ? 4 : kernel->mr; }

const struct qk_igemm_ukernel *qk_igemm_block_ukernel(enum qk_dtype dtype, enum qk_isa isa, size_t nr, size_t rows) {
  const struct igemm_table table = igemm_table(dtype);
  const enum qk_isa served = served_isa(table, isa);
  const struct qk_igemm_ukernel *best = NULL;
  size_t best_cost = 0;
  for (size_t i = 0; i < table.count; i++) {
    const struct qk_igemm_ukernel *entry = &table.entries[i];
    if (entry->isa != served || entry->nr != nr) continue;
    const size_t rest = rows % entry->mr;
    size_t cost = rows / entry->mr * block_cost(entry);
    if (rest > 0) cost += block_cost(qk_igemm_ukernel(dtype, isa, nr, rest));
    if (best != NULL && (cost > best_cost || (cost == best_cost && entry->mr < best->mr))) continue;
    best = entry;
    best_cost = cost;
  }
  return best;
}

const struct qk_dwconv_ukernel *qk_dwconv_table(enum qk_dtype dtype, size_t *count) {
  *count = dtype == QK_F32 ? QK_COUNT(qk_f32_dwconv_ukernels) : QK_COUNT(qk_qu8_dwconv_ukernels);
  return dtype == QK_F32 ? qk_f32_dwconv_ukernels : qk_qu8_dwconv_ukernels;
}

const struct qk_dwconv_ukernel *qk_dwconv_ukernel(enum qk_dtype dtype, enum qk_isa isa) {
  size_t count;
  const struct qk_dwconv_ukernel *entries = qk_dwconv_table(dtype, &count), *best = &entries[0];
  for (size_t i = 0; i < count; i++) {
    if (entries[i].isa <= isa && entries[i].isa >= best->isa) best = &entries[i];
  }
  return best;
}

const struct qk_dwrow_ukernel *qk_dwrow_table(enum qk_dtype dtype, size_t *count) {
  *count = (dtype == QK_F32 ? QK_COUNT(qk_f32_dwrow_ukernels) : QK_COUNT(qk_qu8_dwrow_ukernels)) - 1;
  return dtype == QK_F32 ? qk_f32_dwrow_ukernels : qk_qu8_dwrow_ukernels;
}

const struct qk_dwrow_ukernel *qk_dwrow_ukernel(enum qk_dtype dtype, enum qk_isa isa, size_t kh, size_t kw,
                                                size_t stride, size_t dilation) {
  size_t count;
  const struct qk_dwrow_ukernel *entries = qk_dwrow_table(dtype, &count), *best = NULL;
  for (size_t i = 0; i < count && dilation == 1; i++) {
    const struct qk_dwrow_ukernel *entry = &entries[i];
    if (entry->isa > isa || entry->kh != kh || entry->kw != kw || entry->stride != stride) continue;
    if (best == NULL || entry->isa > best->isa) best = entry;
  }
  return best;
}

const struct qk_winograd_ukernel *qk_winograd_table(size_t *count) {
  *count = QK_COUNT(qk_f32_winograd_ukernels);
  return qk_f32_winograd_ukernels;
}

const struct qk_winograd_ukernel *qk_winograd_ukernel(enum qk_isa isa, size_t tile) {
  const struct qk_winograd_ukernel *best = NULL;
  for (size_t i = 0; i < QK_COUNT(qk_f32_winograd_ukernels); i++) {
    const struct qk_winograd_ukernel *entry = &qk_f32_winograd_ukernels[i];
    if (entry->isa > isa || entry->tile != tile) continue;
    if (best == NULL || entry->isa > best->isa) best = entry;
  }
  return best;
}

#define QK_VECTOR_OPS(TABLE) extern const struct qk_vector_ops TABLE;
#include "vector/vector.inc"
#undef QK_VECTOR_OPS
#define QK_VECTOR_OPS(TABLE) &TABLE,
static const struct qk_vector_ops *const qk_vector_tables[] = {
#include "vector/vector.inc"
};
#undef QK_VECTOR_OPS

const struct qk_vector_ops *const *qk_vector_table(size_t *count) {
  *count = QK_COUNT(qk_vector_tables);
  return qk_vector_tables;
}

const struct qk_vector_ops *qk_vector_ops(enum qk_isa isa) {
  const struct qk_vector_ops *best = qk_vector_tables[0];
  for (size_t i = 0; i < QK_COUNT(qk_vector_tables); i++) {
    if (qk_vector_tables[i]->isa <= isa && qk_vector_tables[i]->isa >= best->isa) best = qk_vector_tables[i];
  }
  return best;
}
