#include "../common.h"

// Elements that one task has about.
#define CHUNK 16384

struct job {
  const struct qk_vector_ops *ops;
  size_t rows, columns, step;
  const float *x, *scale, *bias;
  float epsilon;
  void *out;
  float *scales;
  uint8_t *zero_points;
};

static void run(struct job *job, struct qk_pool *pool, qk_task_fn task) {
  job->step = CHUNK / (job->columns + 1) + 1;
  qk_pool_run(pool, qk_ceil_div(job->rows, job->step), job, task);
}

static void layer_norm_task(void *context, size_t index, size_t thread) {
  const struct job *j = context;
  (void)thread;
  const size_t first = index * j->step, end = qk_min(j->rows, first + j->step);
  for (size_t i = first; i < end; i++) {
    const size_t at = i * j->columns;
    j->ops->layer_norm(j->columns, j->x + at, j->scale, j->bias, j->epsilon, (float *)j->out + at);
  }
}

void qk_f32_layer_norm_run(enum qk_isa isa, size_t rows, size_t columns, const float *x, const float *scale,
                           const float *bias, float epsilon, float *out, struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .rows = rows, .columns = columns, .x = x, .scale = scale,
                    .bias = bias, .epsilon = epsilon, .out = out};
  run(&job, pool, layer_norm_task);
}

static void quantize_task(void *context, size_t index, size_t thread) {
  const struct job *j = context;
  (void)thread;
  const size_t first = index * j->step, end = qk_min(j->rows, first + j->step);
  for (size_t i = first; i < end; i++) {
    const float *x = j->x + i * j->columns;
    float lo = 0.0f, hi = 0.0f;
    j->ops->range(j->columns, x, &lo, &hi);
    qk_set_parameters(lo, hi, &j->scales[i], &j->zero_points[i]);
    j->ops->quantize_u8(j->columns, x, (uint8_t *)j->out + i * j->columns, j->scales[i], j->zero_points[i]);
  }
}

void qk_dynamic_quantize_rows_run(enum qk_isa isa, size_t rows, size_t columns, const float *x, uint8_t *out,
                                  float *scales, uint8_t *zero_points, struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .rows = rows, .columns = columns, .x = x, .out = out,
                    .scales = scales, .zero_points = zero_points};
  run(&job, pool, quantize_task);
}
