#include "panel.h"

struct job {
  const struct qk_matmul *matmul;
  const float *a, *b;
  float *out;
  size_t nr, panels;
  const struct qk_igemm_ukernel *full;
  struct qk_tail tail;
  struct qk_scratch scratch;
};

static size_t panel_width(const struct qk_matmul *m) { return qk_igemm_panel_width(QK_F32, m->isa, m->columns, m->depth); }

size_t qk_f32_matmul_scratch_bytes(const struct qk_matmul *m) {
  return qk_round_up(qk_panel_bytes(QK_F32, m->isa, panel_width(m), m->depth, 1), 64);
}

// One panel of columns of one product: packs it and multiplies all rows with it.
static void panel_task(void *context, size_t index, size_t thread) {
  const struct job *job = context;
  const struct qk_matmul *m = job->matmul;
  const size_t i = index / job->panels, first = index % job->panels * job->nr;
  const size_t columns = qk_min(job->nr, m->columns - first);
  float *packed = (float *)(void *)((char *)job->scratch.base + thread * job->scratch.stride);
  const float *b = job->b + m->b_offsets[i] + first * m->b_column;
  qk_pack_panel(b, m->b_row, m->b_column, m->depth, columns, job->nr, packed);
  const float *a = job->a + m->a_offsets[i];
  float *out = job->out + i * m->rows * m->columns + first;
  for (size_t row = 0; row < m->rows;) {
    const size_t left = m->rows - row;
    const struct qk_igemm_ukernel *kernel =
        left >= job->full->mr ? job->full : qk_igemm_ukernel(QK_F32, m->isa, job->nr, left);
    const size_t rows = qk_min(left, kernel->mr);
    const void *pointers[UINT8_MAX];
    for (size_t j = 0; j < kernel->mr; j++) pointers[j] = a + (row + qk_min(j, rows - 1)) * m->a_stride;
    kernel->function(rows, columns, m->depth, 1, pointers, packed, out + row * m->columns, m->columns * sizeof(float),
                     &job->tail);
    row += rows;
  }
}

void qk_f32_matmul_run(const struct qk_matmul *m, const float *a, const float *b, float *out, struct qk_pool *pool,
                       struct qk_scratch scratch) {
  struct job job = {.matmul = m, .a = a, .b = b, .out = out, .nr = panel_width(m), .scratch = scratch};
  job.panels = qk_ceil_div(m->columns, job.nr);
  job.full = qk_igemm_ukernel(QK_F32, m->isa, job.nr, m->rows);
  job.tail = qk_bare_tail();
  qk_pool_run(pool, m->batch * job.panels, &job, panel_task);
}
