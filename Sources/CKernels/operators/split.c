#include "split.h"

// Rows of output pixels that one task handles, about, at most.
#define CHUNK_ROWS 96

// What a task costs beside its multiply-adds: as much as this many rows for reading its weights, and as this many
// multiply-adds for its start.
#define WEIGHT_ROWS 2
#define START_COST 16384

// The time until all tasks are done in multiply-adds, an eighth of a task more for threads that come late.
static double split_cost(const struct qk_conv *conv, const struct qk_split *s, size_t threads) {
  const size_t tasks = conv->groups * s->row_chunks * s->panel_chunks;
  const size_t columns = s->chunk_panels * conv->nr, depth = s->taps * s->kc;
  const double task = (double)(s->chunk_rows + WEIGHT_ROWS) * (double)(columns * depth) + START_COST;
  return ((double)qk_ceil_div(tasks, threads) + 0.125) * task;
}

static void cut(struct qk_split *s, size_t row_chunks, size_t panel_chunks) {
  s->row_chunks = row_chunks;
  s->chunk_rows = row_chunks == 0 ? 0 : qk_ceil_div(s->blocks, row_chunks) * s->full->mr;
  s->panel_chunks = panel_chunks;
  s->chunk_panels = qk_ceil_div(s->panels, panel_chunks);
}

// Columns, whose stores then lie apart, are divided only where there are few rows.
struct qk_split qk_split_of(const struct qk_conv *conv, size_t threads) {
  struct qk_split s = {.rows = conv->batch * conv->oh * conv->ow};
  s.taps = conv->kh * (conv->kw / conv->run);
  s.kc = conv->kc * conv->run;
  s.panels = qk_ceil_div(conv->nc, conv->nr);
  const size_t fewest = qk_ceil_div(s.rows, CHUNK_ROWS);
  s.full = qk_igemm_ukernel(conv->dtype, conv->isa, conv->nr, fewest == 0 ? 0 : qk_ceil_div(s.rows, fewest));
  s.blocks = qk_ceil_div(s.rows, s.full->mr);
  cut(&s, fewest, 1);
  if (threads == 1 || s.rows == 0) return s;
  struct qk_split best = s;
  double least = split_cost(conv, &s, threads);
  const size_t most_panels = fewest < 4 * threads ? qk_min(s.panels, 4 * threads) : 1;
  for (size_t r = fewest; r <= qk_min(s.blocks, fewest + 2 * threads); r++) {
    for (size_t p = 1; p <= most_panels; p++) {
      cut(&s, r, p);
      const double cost = split_cost(conv, &s, threads);
      if (cost >= least) continue;
      least = cost;
      best = s;
    }
  }
  return best;
}
