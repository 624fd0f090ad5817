// The mean of each channel of each image, of the map or of its rectified values.

#pragma once

#include "teams.cuh"

template <bool block>
__global__ void __launch_bounds__(kThreads) squeeze_planes(
    const scalar_t* __restrict__ x, float* __restrict__ means, int planes, int area, int relu) {
  const int plane = Team<block>::plane();
  if (plane >= planes) {
    return;  // with all of its team
  }
  const scalar_t* const run = x + plane * area;
  float sum = 0.f;
  over_run(
      run, area, true, Team<block>::rank(), Team<block>::size,
      [&](int i) {
        const float value = widened(run[i]);
        sum += relu ? rectified(value) : value;
      },
      [&](int i) {
        const Values<kWide> values = load<kWide>(run + i);
#pragma unroll
        for (int n = 0; n < kWide; ++n) {
          sum += relu ? rectified(values.value[n]) : values.value[n];
        }
      });
  sum = Team<block>::sum(sum);
  if (Team<block>::rank() == 0) {
    means[plane] = sum / static_cast<float>(area);
  }
}

template <int wide>
__global__ void __launch_bounds__(kThreads) squeeze_pixels(
    const scalar_t* __restrict__ x, float* __restrict__ means, int channels, int area, int relu) {
  using Own = Tile<wide>;
  const int image = blockIdx.y, channel = Own::channel();
  Values<wide> sums = zeros<wide>();
  if (channel < channels) {
    const scalar_t* const from = x + image * area * channels + channel;
#pragma unroll 4
    for (int pixel = Own::row(); pixel < area; pixel += Own::rows) {
      const Values<wide> values = load<wide>(from + pixel * channels);
#pragma unroll
      for (int n = 0; n < wide; ++n) {
        sums.value[n] += relu ? rectified(values.value[n]) : values.value[n];
      }
    }
  }
  Own::put_means(sums, means, image, channels, area);
}
