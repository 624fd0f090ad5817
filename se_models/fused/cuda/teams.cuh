// Threads that work together, and their sums.

#pragma once

#include "values.cuh"

__device__ __forceinline__ int lane_of_warp() { return threadIdx.x % kWarp; }
__device__ __forceinline__ int warp_of_block() { return threadIdx.x / kWarp; }

// Of all lanes that are a multiple of `least` apart; every one of them gets it.
__device__ __forceinline__ float sum_of_lanes(float value, int least = 1) {
  for (int apart = kWarp / 2; apart >= least; apart /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, apart);
  }
  return value;
}

// Of all threads of the block, once in a kernel.
__device__ __forceinline__ float sum_of_block(float value) {
  __shared__ float of_warp[kWarps];
  value = sum_of_lanes(value);
  if (lane_of_warp() == 0) {
    of_warp[warp_of_block()] = value;
  }
  __syncthreads();
  float sum = 0.f;
  for (int warp = 0; warp < kWarps; ++warp) {
    sum += of_warp[warp];
  }
  return sum;
}

// Those that share a plane: the whole block where planes are large, else a warp.
template <bool block>
struct Team {
  static constexpr int size = block ? kThreads : kWarp;

  static __device__ __forceinline__ int rank() { return threadIdx.x % size; }

  static __device__ __forceinline__ int plane() {
    return blockIdx.x * (kThreads / size) + threadIdx.x / size;
  }

  static __device__ __forceinline__ float sum(float value) {
    if constexpr (block) {
      return sum_of_block(value);
    } else {
      return sum_of_lanes(value);
    }
  }
};

// Calls one(i) or pack(i), the latter for kWide values at once, so that each of `count` values that
// start at `run` is visited by one of `size` threads. `wide` says whether sixteen bytes may be
// taken at once wherever the address in `run` allows it.
template <typename One, typename Pack>
__device__ __forceinline__ void over_run(
    const scalar_t* run, int count, bool wide, int rank, int size, const One& one,
    const Pack& pack) {
  int head = count;
  if (wide) {
    const int past = static_cast<int>(reinterpret_cast<size_t>(run) % kAccessBytes);
    head = min(count, (kAccessBytes - past) % kAccessBytes / static_cast<int>(sizeof(scalar_t)));
  }
  for (int i = rank; i < head; i += size) {
    one(i);
  }
  const int packs = (count - head) / kWide;
#pragma unroll 4
  for (int n = rank; n < packs; n += size) {
    pack(head + n * kWide);
  }
  for (int i = head + packs * kWide + rank; i < count; i += size) {
    one(i);
  }
}

// Where maps lie as pixels a block takes all pixels of an image for the channels of one sector, so
// that it has their sums for itself: `columns` threads side by side, `wide` channels each.
constexpr int kTile = kSectorBytes / static_cast<int>(sizeof(scalar_t));

template <int wide>
struct Tile {
  static constexpr int columns = kTile / wide;
  static constexpr int rows = kThreads / columns;

  static __device__ __forceinline__ int row() { return threadIdx.x / columns; }

  static __device__ __forceinline__ int channel() {
    return blockIdx.x * kTile + threadIdx.x % columns * wide;
  }

  // For each of the first kTile threads the sum over all rows, of the channel of that place; once
  // in a kernel.
  static __device__ __forceinline__ float sum_of_rows(const Values<wide>& sums) {
    __shared__ float of_warp[kWarps][kTile];
#pragma unroll
    for (int n = 0; n < wide; ++n) {
      const float sum = sum_of_lanes(sums.value[n], columns);
      if (lane_of_warp() < columns) {
        of_warp[warp_of_block()][lane_of_warp() * wide + n] = sum;
      }
    }
    __syncthreads();
    float sum = 0.f;
    if (threadIdx.x < kTile) {
      for (int warp = 0; warp < kWarps; ++warp) {
        sum += of_warp[warp][threadIdx.x];
      }
    }
    return sum;
  }

  // Writes the means of an image, given the sums of each thread.
  static __device__ __forceinline__ void put_means(
      const Values<wide>& sums, float* means, int image, int channels, int area) {
    const float sum = sum_of_rows(sums);
    const int channel = blockIdx.x * kTile + threadIdx.x;
    if (threadIdx.x < kTile && channel < channels) {
      means[image * channels + channel] = sum / static_cast<float>(area);
    }
  }
};

template <int count>
__device__ __forceinline__ Values<count> zeros() {
  Values<count> made;
#pragma unroll
  for (int n = 0; n < count; ++n) {
    made.value[n] = 0.f;
  }
  return made;
}
