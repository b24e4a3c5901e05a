// What the Swift side sees: the code that tools/regenerate-protos makes from schemas/onnx.proto.
#pragma once
#include "onnx.pb-c.h"
