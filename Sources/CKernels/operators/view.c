#include "../common.h"

struct job {
  const struct qk_vector_ops *ops;
  size_t size, columns;
  const struct qk_view *a_view, *b_view;
  const void *a, *b;
  void *out;
  enum qk_float_binary function;
  size_t rows, step;
};

// First element of row `row` of a view, whose last axis is the row itself.
static ptrdiff_t row_offset(const struct qk_view *view, size_t row) {
  ptrdiff_t offset = 0;
  for (size_t axis = view->rank - 1; axis-- > 0;) {
    offset += (ptrdiff_t)(row % view->extents[axis]) * view->strides[axis];
    row /= view->extents[axis];
  }
  return offset;
}

static size_t row_count(const struct qk_view *view) {
  size_t rows = 1;
  for (size_t axis = 0; axis + 1 < view->rank; axis++) rows *= view->extents[axis];
  return rows;
}

static void run(struct job *job, struct qk_pool *pool, qk_task_fn task) {
  job->columns = job->a_view->extents[job->a_view->rank - 1];
  job->rows = row_count(job->a_view);
  job->step = 16384 / (job->columns + 1) + 1;
  if (job->columns > 0) qk_pool_run(pool, qk_ceil_div(job->rows, job->step), job, task);
}

#define QK_GATHER(TYPE)                                                                                                \
  {                                                                                                                    \
    TYPE *to = out;                                                                                                    \
    const TYPE *from = in;                                                                                             \
    for (size_t i = 0; i < count; i++) to[i] = from[(ptrdiff_t)i * stride];                                            \
  }                                                                                                                    \
  break;

static void gather_row(size_t size, size_t count, const void *in, ptrdiff_t stride, void *out) {
  if (stride == 1) {
    memcpy(out, in, count * size);
    return;
  }
  switch (size) {
  case 1: QK_GATHER(uint8_t)
  case 2: QK_GATHER(uint16_t)
  case 4: QK_GATHER(uint32_t)
  default: QK_GATHER(uint64_t)
  }
}

static void gather_task(void *context, size_t index, size_t thread) {
  const struct job *j = context;
  (void)thread;
  const size_t first = index * j->step, end = qk_min(j->rows, first + j->step);
  const ptrdiff_t stride = j->a_view->strides[j->a_view->rank - 1];
  for (size_t i = first; i < end; i++) {
    const char *from = (const char *)j->a + row_offset(j->a_view, i) * (ptrdiff_t)j->size;
    gather_row(j->size, j->columns, from, stride, (char *)j->out + i * j->columns * j->size);
  }
}

void qk_gather_view(size_t size, const struct qk_view *view, const void *in, void *out, struct qk_pool *pool) {
  struct job job = {.size = size, .a_view = view, .a = in, .out = out};
  run(&job, pool, gather_task);
}

static void binary_task(void *context, size_t index, size_t thread) {
  const struct job *j = context;
  (void)thread;
  const size_t first = index * j->step, end = qk_min(j->rows, first + j->step), last = j->a_view->rank - 1;
  const ptrdiff_t a_stride = j->a_view->strides[last], b_stride = j->b_view->strides[last];
  for (size_t i = first; i < end; i++) {
    const float *a = (const float *)j->a + row_offset(j->a_view, i);
    const float *b = (const float *)j->b + row_offset(j->b_view, i);
    float *out = (float *)j->out + i * j->columns;
    if (a_stride == 1 && b_stride == 1) {
      j->ops->binary_f32(j->columns, a, b, out, j->function);
    } else if (a_stride == 1 && b_stride == 0) {
      j->ops->binary_f32_scalar(j->columns, a, *b, out, j->function);
    } else {
      for (size_t k = 0; k < j->columns; k++) {
        const float x = a[(ptrdiff_t)k * a_stride], y = b[(ptrdiff_t)k * b_stride];
        j->ops->binary_f32(1, &x, &y, out + k, j->function);
      }
    }
  }
}

void qk_f32_binary_views(enum qk_isa isa, const struct qk_view *a_view, const float *a, const struct qk_view *b_view,
                         const float *b, float *out, enum qk_float_binary function, struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .a_view = a_view, .b_view = b_view, .a = a, .b = b, .out = out,
                    .function = function};
  run(&job, pool, binary_task);
}
