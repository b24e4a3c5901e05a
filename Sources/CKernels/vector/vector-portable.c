#define QK_VECTOR_NAME "portable"
#define QK_VECTOR_ISA QK_ISA_PORTABLE
#define QK_VECTOR_TABLE qk_vector_ops__portable
#include "vector-template.h"
