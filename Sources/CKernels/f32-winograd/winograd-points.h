// Interpolation points of the transforms for 4 outputs: 0, A, -A, B, -B and infinity. Their powers up to the third and
// the products of these in the transforms are floats, and of points that small this pair amplifies rounding least:
// errors are about twice those of the direct sum, where 1 and 2 make it four times.
#pragma once

#define QK_WINOGRAD_A 0.625f
#define QK_WINOGRAD_B 1.5f
