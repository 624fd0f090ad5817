// CUDA's words that need no machine: qualifiers, vector and narrow types, intrinsics of one thread.

#pragma once

#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// Where the loader keeps what a thread has for itself all of them can be found and spoilt, and under
// ThreadSanitizer each block has another.
#define __shared__ static thread_local
// Shared memory whose size the launch decides. What CUDA says for it, `extern __shared__`, has no
// like on the CPU, so a kernel that wants some has to declare it by such a macro.
#define SE_DYNAMIC_SHARED(type, name) \
  type* const name = reinterpret_cast<type*>(emulated::dynamic_shared())

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

struct alignas(16) float4 {
  float x, y, z, w;
};

struct __half {
  _Float16 value;
};

struct __nv_bfloat16 {
  uint16_t bits;
};

inline float __half2float(__half half) { return static_cast<float>(half.value); }
inline __half __float2half_rn(float value) { return {static_cast<_Float16>(value)}; }

inline float __bfloat162float(__nv_bfloat16 narrow) {
  const uint32_t bits = static_cast<uint32_t>(narrow.bits) << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value != value) {
    return {0x7fff};
  }
  bits += 0x7fff + ((bits >> 16) & 1);  // to the nearest, and of two to the even one
  return {static_cast<uint16_t>(bits >> 16)};
}

inline float __fdividef(float a, float b) { return a / b; }
inline int min(int a, int b) { return a < b ? a : b; }

template <typename T>
T __ldcg(const T* from) {
  return *from;
}
