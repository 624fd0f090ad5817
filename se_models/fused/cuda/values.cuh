// What a map holds, one value or sixteen bytes of it at a time, widened to float.

#pragma once

#include "device.cuh"

using scalar_t = SE_SCALAR;

// Of the widest access, and of the least that memory is read by.
constexpr int kAccessBytes = 16;
constexpr int kSectorBytes = 32;
constexpr int kWide = kAccessBytes / static_cast<int>(sizeof(scalar_t));

__device__ __forceinline__ float widened(float value) { return value; }
__device__ __forceinline__ float widened(__half value) { return __half2float(value); }
__device__ __forceinline__ float widened(__nv_bfloat16 value) { return __bfloat162float(value); }

__device__ __forceinline__ void narrow(float value, float& to) { to = value; }
__device__ __forceinline__ void narrow(float value, __half& to) { to = __float2half_rn(value); }
__device__ __forceinline__ void narrow(float value, __nv_bfloat16& to) {
  to = __float2bfloat16_rn(value);
}

template <int count>
struct Values {
  float value[count];
};

// One value, or kWide of them from an address that sixteen divides.
template <int count>
__device__ __forceinline__ Values<count> load(const scalar_t* from) {
  static_assert(count == 1 || count == kWide);
  Values<count> wide;
  if constexpr (count == 1) {
    wide.value[0] = widened(*from);
  } else {
    const uint4 raw = *reinterpret_cast<const uint4*>(from);
    scalar_t narrow_values[count];
    memcpy(narrow_values, &raw, kAccessBytes);
#pragma unroll
    for (int n = 0; n < count; ++n) {
      wide.value[n] = widened(narrow_values[n]);
    }
  }
  return wide;
}

template <int count>
__device__ __forceinline__ void store(const Values<count>& wide, scalar_t* to) {
  if constexpr (count == 1) {
    narrow(wide.value[0], *to);
  } else {
    scalar_t narrow_values[count];
#pragma unroll
    for (int n = 0; n < count; ++n) {
      narrow(wide.value[n], narrow_values[n]);
    }
    uint4 raw;
    memcpy(&raw, narrow_values, kAccessBytes);
    *reinterpret_cast<uint4*>(to) = raw;
  }
}

// Floats for so many channels, from an address that sixteen divides if they are several; of what is
// not given, the same for all.
template <int count>
__device__ __forceinline__ Values<count> load_or(const float* from, int place, float otherwise) {
  Values<count> found;
#pragma unroll
  for (int n = 0; n < count; ++n) {
    found.value[n] = otherwise;
  }
  if (from == nullptr) {
    return found;
  }
  if constexpr (count == 1) {
    found.value[0] = from[place];
  } else {
#pragma unroll
    for (int n = 0; n < count; n += 4) {
      const float4 four = *reinterpret_cast<const float4*>(from + place + n);
      found.value[n] = four.x;
      found.value[n + 1] = four.y;
      found.value[n + 2] = four.z;
      found.value[n + 3] = four.w;
    }
  }
  return found;
}

// Lets NaN pass, as torch.relu does.
__device__ __forceinline__ float rectified(float value) { return value < 0.f ? 0.f : value; }
