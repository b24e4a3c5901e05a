#include "panel.h"

// Rows of the batch that one task handles at most.
#define MAX_ROWS 32

// How the work is cut: directions times chunks of rows times chunks of panels of hidden units. With one chunk of panels, a
// task takes all steps; otherwise the tasks meet after every step.
struct split {
  size_t row_chunks, chunk_rows, panels, panel_chunks, chunk_panels;
};

struct job {
  const struct qk_recurrent *op;
  const struct qk_recurrent_data *data;
  struct qk_scratch scratch;
  struct split split;
  size_t step; // the only one that tasks take, or SIZE_MAX
};

// One task: `rows` rows of the batch from `row` on, hidden units from `unit` to `end`.
struct part {
  const struct job *job;
  size_t direction, row, rows, unit, end;
  // Scratch: states as the product reads them, their parameters, the products, a row of zeros.
  char *states;
  float *scales, *products, *zeros;
  uint8_t *zero_points;
};

static struct split split_of(const struct qk_recurrent *op, size_t threads) {
  struct split s = {.panels = qk_ceil_div(op->hidden, op->nr)};
  const size_t wanted = qk_ceil_div(threads, op->directions);
  s.chunk_rows = qk_min(MAX_ROWS, qk_ceil_div(op->batch, wanted));
  s.row_chunks = s.chunk_rows == 0 ? 0 : qk_ceil_div(op->batch, s.chunk_rows);
  const size_t tasks = s.row_chunks * op->directions;
  // A reset before the product needs all units of a row.
  s.panel_chunks = tasks == 0 || op->cell == QK_GRU ? 1 : qk_min(s.panels, threads <= tasks ? 1 : threads / tasks);
  s.chunk_panels = qk_ceil_div(s.panels, s.panel_chunks);
  s.panel_chunks = qk_ceil_div(s.panels, s.chunk_panels);
  return s;
}

static size_t gate_count(const struct qk_recurrent *op) { return op->cell == QK_LSTM ? 4 : 3; }

// Bytes from one state to the next as the product reads them.
static size_t state_bytes(const struct qk_recurrent *op) { return qk_round_up(op->hidden * sizeof(float), 64); }

size_t qk_recurrent_scratch_bytes(const struct qk_recurrent *op) {
  const size_t rows = qk_min(MAX_ROWS, op->batch), width = qk_round_up(op->hidden, op->nr);
  return (rows + 1) * state_bytes(op) + QK_TAIL_PADDING + MAX_ROWS * (sizeof(float) + 1) +
         rows * gate_count(op) * width * sizeof(float) + 64;
}

static struct part part_of(const struct job *job, size_t index, size_t thread) {
  const struct qk_recurrent *op = job->op;
  const struct split *s = &job->split;
  const size_t panel_chunk = index % s->panel_chunks, row_chunk = index / s->panel_chunks % s->row_chunks;
  struct part p = {.job = job, .direction = index / s->panel_chunks / s->row_chunks};
  p.row = row_chunk * s->chunk_rows;
  p.rows = qk_min(s->chunk_rows, op->batch - p.row);
  p.unit = panel_chunk * s->chunk_panels * op->nr;
  p.end = qk_min(op->hidden, p.unit + s->chunk_panels * op->nr);
  char *at = (char *)job->scratch.base + thread * job->scratch.stride;
  p.zeros = (float *)(void *)at;
  at += state_bytes(op);
  p.products = (float *)(void *)at;
  at += qk_round_up(p.rows * gate_count(op) * s->chunk_panels * op->nr * sizeof(float), 64);
  p.scales = (float *)(void *)at;
  at += MAX_ROWS * sizeof(float);
  p.zero_points = (uint8_t *)at;
  p.states = at + MAX_ROWS;
  memset(p.zeros, 0, op->hidden * sizeof(float));
  return p;
}

static size_t length_of(const struct job *job, size_t row) {
  return job->data->lengths == NULL ? job->op->length : (size_t)job->data->lengths[row];
}

// The state of a row after a step; steps are counted in the order in which they are taken.
static float *state_at(const struct job *job, size_t direction, size_t row, size_t step) {
  const struct qk_recurrent *op = job->op;
  const size_t time = op->reversed || direction == 1 ? length_of(job, row) - 1 - step : step;
  return job->data->states + ((time * op->directions + direction) * op->batch + row) * op->hidden;
}

// The state of a row before a step; that before the end for rows that have ended.
static const float *state_before(const struct part *p, size_t row, size_t step) {
  const struct job *job = p->job;
  step = qk_min(step, length_of(job, row));
  if (step > 0) return state_at(job, p->direction, row, step - 1);
  const float *first = job->data->h;
  return first == NULL ? p->zeros : first + (p->direction * job->op->batch + row) * job->op->hidden;
}

// The products of row i of the part with the weights of a gate, from the part's first unit on.
static float *product_at(const struct part *p, size_t i, size_t gate) {
  const size_t width = p->job->split.chunk_panels * p->job->op->nr;
  return p->products + (i * gate_count(p->job->op) + gate) * width;
}

// Makes `pointers` those of the states as the weights' type wants them.
static void prepare(const struct part *p, const void **pointers) {
  const struct qk_recurrent *op = p->job->op;
  const struct qk_vector_ops *ops = qk_vector_ops(op->isa);
  if (op->dtype == QK_F32) return;
  for (size_t i = 0; i < p->rows; i++) {
    uint8_t *to = (uint8_t *)p->states + i * state_bytes(op);
    float lo = 0.0f, hi = 0.0f;
    ops->range(op->hidden, pointers[i], &lo, &hi);
    qk_set_parameters(lo, hi, &p->scales[i], &p->zero_points[i]);
    ops->quantize_u8(op->hidden, pointers[i], to, p->scales[i], p->zero_points[i]);
    pointers[i] = to;
  }
}

// Multiplies the states by the weights of gates `first` to `end`.
static void multiply(const struct part *p, const void *const *states, size_t first, size_t end) {
  const struct qk_recurrent *op = p->job->op;
  const size_t panel_bytes = qk_panel_bytes(op->dtype, op->isa, op->nr, op->hidden, 1);
  const size_t stride = (size_t)((char *)product_at(p, 1, 0) - (char *)product_at(p, 0, 0));
  for (size_t i = 0; i < p->rows;) {
    const struct qk_igemm_ukernel *kernel = qk_igemm_ukernel(op->dtype, op->isa, op->nr, p->rows - i);
    const size_t rows = qk_min(p->rows - i, kernel->mr);
    const void *pointers[UINT8_MAX];
    for (size_t j = 0; j < kernel->mr; j++) pointers[j] = states[i + qk_min(j, rows - 1)];
    for (size_t gate = first; gate < end; gate++) {
      const size_t first_panel = (p->direction * gate_count(op) + gate) * p->job->split.panels;
      for (size_t unit = p->unit; unit < p->end; unit += op->nr) {
        const size_t panel = first_panel + unit / op->nr;
        const char *w = (const char *)op->weights + panel * panel_bytes;
        struct qk_tail tail = qk_bare_tail();
        if (op->dtype == QK_QU8) {
          tail.kind = QK_TAIL_ROWS;
          tail.scale = op->column_scales + panel * op->nr;
          tail.start = op->column_sums + panel * op->nr;
          tail.row_scale = p->scales + i;
          tail.row_zero_point = p->zero_points + i;
        }
        kernel->function(rows, qk_min(op->nr, p->end - unit), op->hidden, 1, pointers, w,
                         product_at(p, i, gate) + (unit - p->unit), stride, &tail);
      }
    }
    i += rows;
  }
}

// Adds `addend` to a row of products.
static void add(const struct part *p, size_t i, size_t gate, const float *addend) {
  float *s = product_at(p, i, gate);
  qk_vector_ops(p->job->op->isa)->binary_f32(p->end - p->unit, s, addend, s, QK_ADD);
}

static void lstm_step(const struct part *p, size_t i, const float *x, float *out) {
  const struct qk_recurrent *op = p->job->op;
  const size_t row = p->direction * op->batch + p->row + i;
  struct qk_lstm_cell cell = {.clip = op->clip, .coupled = op->coupled, .out = out + p->unit};
  cell.cell = p->job->data->last_c + row * op->hidden + p->unit;
  for (size_t gate = 0; gate < 4; gate++) {
    add(p, i, gate, x + gate * op->hidden + p->unit);
    cell.gates[gate] = product_at(p, i, gate);
  }
  for (size_t gate = 0; gate < 3 && op->peepholes != NULL; gate++) {
    cell.peepholes[gate] = op->peepholes + (p->direction * 3 + gate) * op->hidden + p->unit;
  }
  qk_vector_ops(op->isa)->lstm_cell(p->end - p->unit, &cell);
}

static void gru_step(const struct part *p, size_t i, const float *x, const float *before, float *out) {
  const struct qk_recurrent *op = p->job->op;
  const bool after = op->cell == QK_GRU_RESET_AFTER;
  struct qk_gru_cell cell = {.clip = op->clip, .before = before + p->unit, .out = out + p->unit};
  for (size_t gate = 0; gate < 2 && after; gate++) add(p, i, gate, x + gate * op->hidden + p->unit);
  add(p, i, 2, after ? op->bias + p->direction * op->hidden + p->unit : x + 2 * op->hidden + p->unit);
  for (size_t gate = 0; gate < 3; gate++) cell.gates[gate] = product_at(p, i, gate);
  if (after) cell.input = x + 2 * op->hidden + p->unit;
  qk_vector_ops(op->isa)->gru_cell(p->end - p->unit, &cell);
}

static const float *gates_at(const struct part *p, size_t row, size_t step) {
  const struct qk_recurrent *op = p->job->op;
  const size_t length = length_of(p->job, row);
  const size_t time = op->reversed || p->direction == 1 ? length - 1 - step : step;
  return p->job->data->gates + ((time * op->batch + row) * op->directions + p->direction) * gate_count(op) * op->hidden;
}

// Ends the first two gates; multiplies the states by their reset gates, in the place of the gate's products, and the
// results by the last weights.
static void reset_before(const struct part *p, size_t step, const float *const *before) {
  const struct qk_recurrent *op = p->job->op;
  const struct qk_vector_ops *ops = qk_vector_ops(op->isa);
  const void *states[MAX_ROWS];
  for (size_t i = 0; i < p->rows; i++) {
    float *r = product_at(p, i, 1);
    states[i] = r;
    if (step >= length_of(p->job, p->row + i)) continue;
    for (size_t gate = 0; gate < 2; gate++) add(p, i, gate, gates_at(p, p->row + i, step) + gate * op->hidden);
    ops->activate(op->hidden, r, r, &(struct qk_activation){.function = QK_CLIP, .a = -op->clip, .b = op->clip});
    ops->activate(op->hidden, r, r, &(struct qk_activation){.function = QK_SIGMOID});
    ops->binary_f32(op->hidden, r, before[i], r, QK_MUL);
  }
  prepare(p, states);
  multiply(p, states, 2, 3);
}

static void step_task(const struct part *p, size_t step) {
  const struct qk_recurrent *op = p->job->op;
  const float *before[MAX_ROWS];
  const void *states[MAX_ROWS];
  for (size_t i = 0; i < p->rows; i++) states[i] = before[i] = state_before(p, p->row + i, step);
  prepare(p, states);
  multiply(p, states, 0, op->cell == QK_GRU ? 2 : gate_count(op));
  if (op->cell == QK_GRU) reset_before(p, step, before);
  for (size_t i = 0; i < p->rows; i++) {
    const size_t row = p->row + i;
    if (step >= length_of(p->job, row)) {
      float *past = p->job->data->states + ((step * op->directions + p->direction) * op->batch + row) * op->hidden;
      memset(past + p->unit, 0, (p->end - p->unit) * sizeof(float));
      continue;
    }
    const float *x = gates_at(p, row, step);
    float *out = state_at(p->job, p->direction, row, step);
    if (op->cell == QK_LSTM) lstm_step(p, i, x, out);
    else gru_step(p, i, x, before[i], out);
  }
}

static void task(void *context, size_t index, size_t thread) {
  const struct job *job = context;
  const struct part p = part_of(job, index, thread);
  if (job->step != SIZE_MAX) {
    step_task(&p, job->step);
  } else {
    for (size_t step = 0; step < job->op->length; step++) step_task(&p, step);
  }
  qk_release_tiles();
}

void qk_recurrent_run(const struct qk_recurrent *op, const struct qk_recurrent_data *data, struct qk_pool *pool,
                      struct qk_scratch scratch) {
  struct job job = {op, data, scratch, split_of(op, qk_pool_threads(pool)), SIZE_MAX};
  const size_t rows = op->directions * op->batch, count = rows * op->hidden;
  if (op->cell == QK_LSTM && data->c == NULL) memset(data->last_c, 0, count * sizeof(float));
  if (op->cell == QK_LSTM && data->c != NULL) memcpy(data->last_c, data->c, count * sizeof(float));
  const size_t tasks = op->directions * job.split.row_chunks * job.split.panel_chunks;
  if (job.split.panel_chunks == 1) {
    qk_pool_run(pool, tasks, &job, task);
  } else {
    for (job.step = 0; job.step < op->length; job.step++) qk_pool_run(pool, tasks, &job, task);
  }
  for (size_t i = 0; i < rows; i++) {
    const size_t length = length_of(&job, i % op->batch);
    float *last = data->last_h + i * op->hidden;
    if (length > 0) memcpy(last, state_at(&job, i / op->batch, i % op->batch, length - 1), op->hidden * sizeof(float));
    else if (data->h != NULL) memcpy(last, data->h + i * op->hidden, op->hidden * sizeof(float));
    else memset(last, 0, op->hidden * sizeof(float));
  }
}
