// What the device offers: the compiler's own, or tests' stand-in for it, which is included ahead.

#pragma once

#ifndef SE_EMULATED
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

constexpr int kWarp = 32;
constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr unsigned kAllLanes = 0xffffffffu;
