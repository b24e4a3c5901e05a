#include "../common.h"

// Elements that one task has about.
#define CHUNK 16384

struct job {
  const struct qk_row_chain *chain;
  const struct qk_vector_ops *ops;
  size_t step;
  struct qk_scratch scratch;
};

size_t qk_row_chain_scratch_bytes(size_t columns) { return qk_round_up(columns * sizeof(float), 64); }

// Quantizes one row by its own range.
static void quantize_row(const struct qk_row_chain *c, const struct qk_vector_ops *ops, size_t row, const float *x) {
  float lo = 0.0f, hi = 0.0f;
  ops->range(c->columns, x, &lo, &hi);
  qk_set_parameters(lo, hi, &c->scales[row], &c->zero_points[row]);
  ops->quantize_u8(c->columns, x, c->quantized + row * c->columns, c->scales[row], c->zero_points[row]);
}

static void chain_task(void *context, size_t index, size_t thread) {
  const struct job *j = context;
  const struct qk_row_chain *c = j->chain;
  float *const scratch = (float *)(void *)((char *)j->scratch.base + thread * j->scratch.stride);
  const size_t first = index * j->step, end = qk_min(c->rows, first + j->step);
  for (size_t i = first; i < end; i++) {
    const size_t at = i * c->columns;
    const float *x = c->x + at;
    float *const result = c->out != NULL ? c->out + at : scratch;
    if (c->addend != NULL) {
      float *const sum = c->sum != NULL ? c->sum + at : result;
      j->ops->binary_f32(c->columns, x, c->addend + at, sum, QK_ADD);
      x = sum;
    }
    if (c->scale != NULL) {
      j->ops->layer_norm(c->columns, x, c->scale, c->bias, c->epsilon, result);
      x = result;
    }
    if (c->activation != NULL) {
      j->ops->activate(c->columns, x, result, c->activation);
      x = result;
    }
    if (c->quantized != NULL) quantize_row(c, j->ops, i, x);
  }
}

void qk_row_chain_run(enum qk_isa isa, const struct qk_row_chain *chain, struct qk_pool *pool,
                      struct qk_scratch scratch) {
  struct job job = {chain, qk_vector_ops(isa), CHUNK / (chain->columns + 1) + 1, scratch};
  qk_pool_run(pool, qk_ceil_div(chain->rows, job.step), &job, chain_task);
}
