#include "panel.h"

// Queries whose scores are computed together: a multiple of the rows of most kernels, few enough for their scores to
// stay in the cache until they have met the values.
#define BLOCK 24
// Tasks per thread to aim at where there are fewer heads.
#define TASKS_PER_THREAD 4

// Panels of one width, but for the last, which is as narrow as the columns left allow.
struct panels {
  size_t count, nr, last_nr, columns, depth;
};

static struct panels panels_of(enum qk_isa isa, size_t columns, size_t depth) {
  struct panels p = {.nr = qk_igemm_panel_width(QK_F32, isa, columns, depth), .columns = columns, .depth = depth};
  p.count = qk_ceil_div(columns, p.nr);
  const size_t left = columns - (p.count - 1) * p.nr;
  p.last_nr = left == p.nr ? p.nr : qk_min(p.nr, qk_igemm_panel_width(QK_F32, isa, left, depth));
  return p;
}

static size_t width(const struct panels *p, size_t index) { return index + 1 == p->count ? p->last_nr : p->nr; }

static size_t packed_bytes(const struct panels *p) {
  return qk_round_up(((p->count - 1) * p->nr + p->last_nr) * p->depth * sizeof(float), 64);
}

static void pack(const struct panels *p, const float *b, size_t row, size_t column, float *packed) {
  for (size_t i = 0; i < p->count; i++) {
    const size_t first = i * p->nr, columns = qk_min(p->nr, p->columns - first);
    qk_pack_panel(b + first * column, row, column, p->depth, columns, width(p, i), packed + first * p->depth);
  }
}

struct job {
  const struct qk_attention *attention;
  const float *q, *k, *v, *mask;
  float *out;
  size_t chunks, chunk_rows; // per pair of matrices
  struct panels keys, values;
  size_t score_stride; // elements
  struct qk_scratch scratch;
};

static size_t score_stride(const struct qk_attention *a) { return qk_round_up(a->keys, 16); }

size_t qk_f32_attention_scratch_bytes(const struct qk_attention *a) {
  const struct panels keys = panels_of(a->isa, a->keys, a->depth), values = panels_of(a->isa, a->columns, a->keys);
  return packed_bytes(&keys) + packed_bytes(&values) + BLOCK * score_stride(a) * sizeof(float);
}

// out[i][j] = the product of row i of a with column j of the packed panels.
static void multiply(enum qk_isa isa, const struct panels *p, size_t rows, const float *a, size_t a_stride,
                     const float *packed, float *out, size_t out_stride) {
  const struct qk_tail tail = qk_bare_tail();
  for (size_t i = 0; i < p->count; i++) {
    const size_t first = i * p->nr, columns = qk_min(p->nr, p->columns - first);
    for (size_t row = 0; row < rows;) {
      const struct qk_igemm_ukernel *kernel = qk_igemm_ukernel(QK_F32, isa, width(p, i), rows - row);
      const size_t count = qk_min(rows - row, kernel->mr);
      const void *pointers[UINT8_MAX];
      for (size_t j = 0; j < kernel->mr; j++) pointers[j] = a + (row + qk_min(j, count - 1)) * a_stride;
      kernel->function(count, columns, p->depth, 1, pointers, packed + first * p->depth,
                       out + row * out_stride + first, out_stride * sizeof(float), &tail);
      row += count;
    }
  }
}

// Turns one row of products into weights that are not yet divided by their sum, which it returns.
static float weigh(const struct job *job, size_t pair, size_t query, float *row) {
  const struct qk_attention *a = job->attention;
  const struct qk_vector_ops *ops = qk_vector_ops(a->isa);
  if (a->factor != 1.0f) ops->scale_f32(a->keys, row, a->factor);
  if (job->mask != NULL) {
    const float *mask = job->mask + a->mask_offsets[pair] + query * a->mask_row;
    if (a->mask_column == 1) ops->binary_f32(a->keys, row, mask, row, QK_ADD);
    else ops->binary_f32_scalar(a->keys, row, *mask, row, QK_ADD);
  }
  for (size_t j = a->keys; j < job->score_stride; j++) row[j] = -INFINITY;
  return ops->exponentials(job->score_stride, row, row);
}

// A chunk of the queries of one pair of matrices.
static void attention_task(void *context, size_t index, size_t thread) {
  const struct job *job = context;
  const struct qk_attention *a = job->attention;
  const struct qk_vector_ops *ops = qk_vector_ops(a->isa);
  const size_t pair = index / job->chunks, first = index % job->chunks * job->chunk_rows;
  const size_t end = qk_min(a->queries, first + job->chunk_rows);
  char *scratch = (char *)job->scratch.base + thread * job->scratch.stride;
  float *const keys = (float *)(void *)scratch;
  float *const values = (float *)(void *)(scratch + packed_bytes(&job->keys));
  float *const scores = (float *)(void *)(scratch + packed_bytes(&job->keys) + packed_bytes(&job->values));
  pack(&job->keys, job->k + a->k_offsets[pair], a->k_column, a->k_row, keys);
  pack(&job->values, job->v + a->v_offsets[pair], a->v_row, a->v_column, values);
  for (size_t query = first; query < end; query += BLOCK) {
    const size_t rows = qk_min(BLOCK, end - query);
    const float *q = job->q + a->q_offsets[pair] + query * a->q_row;
    float *out = job->out + a->out_offsets[pair] + query * a->out_row;
    float factors[BLOCK];
    multiply(a->isa, &job->keys, rows, q, a->q_row, keys, scores, job->score_stride);
    for (size_t i = 0; i < rows; i++) {
      float *const row = scores + i * job->score_stride, sum = weigh(job, pair, query + i, row);
      factors[i] = 1.0f / sum;
      if (a->guarded && sum != sum) {
        memset(row, 0, job->score_stride * sizeof(float));
        factors[i] = 0.0f;
      }
    }
    multiply(a->isa, &job->values, rows, scores, job->score_stride, values, out, a->out_row);
    for (size_t i = 0; i < rows; i++) ops->scale_f32(a->columns, out + i * a->out_row, factors[i]);
  }
}

void qk_f32_attention_run(const struct qk_attention *a, const float *q, const float *k, const float *v,
                          const float *mask, float *out, struct qk_pool *pool, struct qk_scratch scratch) {
  struct job job = {.attention = a, .q = q, .k = k, .v = v, .mask = mask, .out = out, .scratch = scratch};
  job.keys = panels_of(a->isa, a->keys, a->depth);
  job.values = panels_of(a->isa, a->columns, a->keys);
  job.score_stride = score_stride(a);
  const size_t threads = qk_pool_threads(pool), blocks = qk_ceil_div(a->queries, BLOCK);
  const size_t wanted = threads == 1 ? 1 : qk_ceil_div(threads * TASKS_PER_THREAD, a->batch);
  job.chunk_rows = qk_ceil_div(blocks, qk_min(blocks, wanted)) * BLOCK;
  job.chunks = qk_ceil_div(a->queries, job.chunk_rows);
  qk_pool_run(pool, a->batch * job.chunks, &job, attention_task);
}
