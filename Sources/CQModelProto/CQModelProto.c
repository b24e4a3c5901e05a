#include "CQModelProto.h"
