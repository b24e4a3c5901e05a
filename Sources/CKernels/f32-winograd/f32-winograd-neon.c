#if defined(__aarch64__)
#include "../common.h"
#include "../ukernels.h"

#pragma STDC FP_CONTRACT ON

#define QK_WINOGRAD_LANES 4
#include "f32-winograd-template.h"

QK_DEFINE(2, neon)
QK_DEFINE(4, neon)
#endif
