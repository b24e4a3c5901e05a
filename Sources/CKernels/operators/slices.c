#include "../common.h"

struct stack_job {
  const struct qk_stack *op;
  const char *in;
  char *out;
  uint8_t fill;
};

static void stack_task(void *context, size_t index, size_t thread) {
  const struct stack_job *j = context;
  const struct qk_stack *op = j->op;
  (void)thread;
  const size_t image = index / op->out_depth, depth = index % op->out_depth;
  const size_t runs = op->pixels * op->groups, slice = runs * op->bytes, step = op->kernel * op->bytes;
  char *const out = j->out + index * runs * step;
  for (size_t tap = 0; tap < op->kernel; tap++) {
    const ptrdiff_t at = (ptrdiff_t)(depth * op->stride + tap * op->dilation) - (ptrdiff_t)op->pad;
    char *to = out + tap * op->bytes;
    if (at < 0 || at >= (ptrdiff_t)op->in_depth) {
      for (size_t i = 0; i < runs; i++, to += step) memset(to, j->fill, op->bytes);
      continue;
    }
    const char *from = j->in + (image * op->in_depth + (size_t)at) * slice;
    for (size_t i = 0; i < runs; i++, to += step, from += op->bytes) memcpy(to, from, op->bytes);
  }
}

void qk_stack_run(const struct qk_stack *op, const void *in, void *out, uint8_t fill, struct qk_pool *pool) {
  struct stack_job job = {op, in, out, fill};
  qk_pool_run(pool, op->batch * op->out_depth, &job, stack_task);
}

struct phases_job {
  const struct qk_phases *op;
  const char *in;
  char *out;
};

// One row of the result.
static void phases_task(void *context, size_t index, size_t thread) {
  const struct phases_job *j = context;
  const struct qk_phases *op = j->op;
  (void)thread;
  const size_t y = index % op->out[1] + op->pad[1], rest = index / op->out[1];
  const size_t z = rest % op->out[0] + op->pad[0], image = rest / op->out[0];
  const size_t phases = op->stride[0] * op->stride[1] * op->stride[2], pixel = op->groups * phases * op->bytes;
  const size_t phase = (z % op->stride[0] * op->stride[1] + y % op->stride[1]) * op->stride[2];
  const size_t row = (image * op->in[0] + z / op->stride[0]) * op->in[1] + y / op->stride[1];
  const char *const in = j->in + row * op->in[2] * pixel;
  char *out = j->out + index * op->out[2] * op->groups * op->bytes;
  for (size_t i = 0; i < op->out[2]; i++) {
    const size_t x = i + op->pad[2];
    const char *from = in + x / op->stride[2] * pixel + (phase + x % op->stride[2]) * op->bytes;
    for (size_t g = 0; g < op->groups; g++, out += op->bytes, from += phases * op->bytes) memcpy(out, from, op->bytes);
  }
}

void qk_phases_run(const struct qk_phases *op, const void *in, void *out, struct qk_pool *pool) {
  struct phases_job job = {op, in, out};
  qk_pool_run(pool, op->batch * op->out[0] * op->out[1], &job, phases_task);
}
