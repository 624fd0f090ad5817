// From means to gates: two fully connected layers in one launch, spread over blocks.
//
// A block takes kUnits units of the hidden layer, a warp each, for some images at
// once: their rows of the first layer's weights, and then what these units add to
// the sums of all gates. The last block that is done for these images adds up
// what all have left, always in the same order.
//
// The second layer's weights come gate by gate, as the layer has them, or unit by unit:
// then the threads of a block, each of which takes a gate, read neighbours.

#pragma once

#include "teams.cuh"

constexpr int kUnits = kWarps;

// The gate that follows from a sum of products.
__device__ __forceinline__ float opened(
    float sum, const scalar_t* bias2, const float* factor, int channel) {
  if (bias2 != nullptr) {
    sum += widened(bias2[channel]);
  }
  // Rounded twice at most; a division that rounds once is a call, around which registers are spilt.
  const float gate = __fdividef(1.f, 1.f + expf(-sum));
  return factor == nullptr ? gate : gate * factor[channel];
}

// Units of the hidden layer for `images` images from `first` on; each warp makes one.
template <int images>
__device__ __forceinline__ void make_units(
    float (&units)[images][kUnits], const float* squeezed, const scalar_t* weight1,
    const scalar_t* bias1, int first, int batch, int channels, int unit, bool exists) {
  Values<images> sums = zeros<images>();
  if (exists) {
    const scalar_t* const row = weight1 + unit * channels;
    const auto add = [&](int i, float weight) {
#pragma unroll
      for (int n = 0; n < images; ++n) {
        // Past the last image that one again, to no use; a condition here has the compiler for sm_100
        // and newer move parts of the read of sixteen bytes into it.
        const int image = min(first + n, batch - 1);
        sums.value[n] = fmaf(weight, squeezed[image * channels + i], sums.value[n]);
      }
    };
    over_run(
        row, channels, true, lane_of_warp(), kWarp, [&](int i) { add(i, widened(row[i])); },
        [&](int i) {
          const Values<kWide> weights = load<kWide>(row + i);
#pragma unroll
          for (int n = 0; n < kWide; ++n) {
            add(i + n, weights.value[n]);
          }
        });
  }
#pragma unroll
  for (int n = 0; n < images; ++n) {
    const float sum = sum_of_lanes(sums.value[n]);
    if (lane_of_warp() == 0) {
      const float bias = exists && bias1 != nullptr ? widened(bias1[unit]) : 0.f;
      units[n][warp_of_block()] = rectified(sum + bias);
    }
  }
}

// Whether this block is the last of all that share these images. `arrivals` is 0 before the first
// block arrives, and again behind the last.
__device__ __forceinline__ bool is_last(int* arrivals, int blocks) {
  __shared__ bool last;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();  // what all of the block have written is seen before its arrival is
    last = atomicAdd(arrivals, 1) == blocks - 1;
    __threadfence();  // and what others have written, behind theirs
    if (last) {
      *arrivals = 0;
    }
  }
  __syncthreads();
  return last;
}

template <int images>
__global__ void __launch_bounds__(kThreads) excite(
    const float* __restrict__ squeezed, const scalar_t* __restrict__ weight1,
    const scalar_t* __restrict__ bias1, const scalar_t* __restrict__ weight2,
    const scalar_t* __restrict__ bias2, const float* __restrict__ factor, float* partial,
    int* arrivals, float* __restrict__ gate, int batch, int channels, int hidden, int gates,
    int unit_stride, int gate_stride) {
  __shared__ float units[images][kUnits];
  const int chunk = blockIdx.x, chunks = gridDim.x, first = blockIdx.y * images;
  const int unit = chunk * kUnits + warp_of_block();
  make_units<images>(
      units, squeezed, weight1, bias1, first, batch, channels, unit, unit < hidden);
  __syncthreads();
  const int known = min(kUnits, hidden - chunk * kUnits);
  for (int channel = threadIdx.x; channel < gates; channel += kThreads) {
    const scalar_t* const row = weight2 + channel * gate_stride + chunk * kUnits * unit_stride;
    Values<images> sums = zeros<images>();
    for (int k = 0; k < known; ++k) {
      const float weight = widened(row[k * unit_stride]);
#pragma unroll
      for (int n = 0; n < images; ++n) {
        sums.value[n] = fmaf(weight, units[n][k], sums.value[n]);
      }
    }
#pragma unroll
    for (int n = 0; n < images; ++n) {
      const int image = first + n;
      if (image < batch && chunks == 1) {
        gate[image * gates + channel] = opened(sums.value[n], bias2, factor, channel);
      } else if (image < batch) {
        partial[(image * chunks + chunk) * gates + channel] = sums.value[n];
      }
    }
  }
  if (chunks == 1 || !is_last(arrivals + blockIdx.y, chunks)) {
    return;
  }
  for (int image = first; image < min(first + images, batch); ++image) {
    for (int channel = threadIdx.x; channel < gates; channel += kThreads) {
      float sum = 0.f;
      for (int each = 0; each < chunks; ++each) {
        // Past the first cache, which may hold what was there before.
        sum += __ldcg(partial + (image * chunks + each) * gates + channel);
      }
      gate[image * gates + channel] = opened(sum, bias2, factor, channel);
    }
  }
}
