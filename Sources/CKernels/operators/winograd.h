// The convolutions of conv.c whose `tile` is not 0.
#pragma once

#include "../common.h"

size_t qk_winograd_scratch_bytes(const struct qk_conv *conv);
void qk_winograd_run(const struct qk_conv *conv, const void *in, void *out, const struct qk_tail *tail,
                     struct qk_pool *pool, struct qk_scratch scratch);
