#include "../common.h"
#include "../ukernels.h"

#define QK_WINOGRAD_LANES 4
#include "f32-winograd-template.h"

QK_DEFINE(2, portable)
QK_DEFINE(4, portable)
