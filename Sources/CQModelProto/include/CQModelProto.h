#pragma once
#include "qmodel.pb-c.h"
