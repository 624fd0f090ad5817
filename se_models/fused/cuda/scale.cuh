// Scaling ahead of a convolution, of those pixels alone that it takes.

#pragma once

#include "teams.cuh"

template <int count>
__device__ __forceinline__ void scale_values(
    const scalar_t* x, scalar_t* y, const Values<count>& gate) {
  Values<count> values = load<count>(x);
#pragma unroll
  for (int n = 0; n < count; ++n) {
    values.value[n] *= gate.value[n];
  }
  store<count>(values, y);
}

// Every pixel. `wide` says whether x and y lie alike in their sixteen bytes.
template <bool block>
__global__ void __launch_bounds__(kThreads) scale_planes(
    const scalar_t* __restrict__ x, const float* __restrict__ gate, scalar_t* __restrict__ y,
    int planes, int area, int wide) {
  const int plane = Team<block>::plane();
  if (plane >= planes) {
    return;
  }
  const scalar_t* const from = x + plane * area;
  scalar_t* const to = y + plane * area;
  Values<kWide> gates;
#pragma unroll
  for (int n = 0; n < kWide; ++n) {
    gates.value[n] = gate[plane];
  }
  over_run(
      from, area, wide != 0, Team<block>::rank(), Team<block>::size,
      [&](int i) { scale_values<1>(from + i, to + i, {{gates.value[0]}}); },
      [&](int i) { scale_values<kWide>(from + i, to + i, gates); });
}

// Every stride-th row and column; a thread for each value of y.
__global__ void __launch_bounds__(kThreads) scale_strided_planes(
    const scalar_t* __restrict__ x, const float* __restrict__ gate, scalar_t* __restrict__ y,
    int planes, int height, int width, int rows, int columns, int stride) {
  const int place = blockIdx.x * kThreads + threadIdx.x;
  if (place >= planes * rows * columns) {
    return;
  }
  const int plane = place / (rows * columns), pixel = place % (rows * columns);
  const int source = (pixel / columns * width + pixel % columns) * stride;
  scale_values<1>(x + plane * height * width + source, y + place, {{gate[plane]}});
}

template <int wide>
__global__ void __launch_bounds__(kThreads) scale_pixels(
    const scalar_t* __restrict__ x, const float* __restrict__ gate, scalar_t* __restrict__ y,
    int channels, int height, int width, int rows, int columns, int stride) {
  const int image = blockIdx.y;
  const int place = (blockIdx.x * kThreads + threadIdx.x) * wide;
  if (place >= rows * columns * channels) {
    return;
  }
  const int pixel = place / channels, channel = place % channels;
  const int source = (pixel / columns * width + pixel % columns) * stride;
  scale_values<wide>(
      x + (image * height * width + source) * channels + channel,
      y + image * rows * columns * channels + place,
      load_or<wide>(gate, image * channels + channel, 1.f));
}
