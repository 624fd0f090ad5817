// The tail of a block, in place: relu(x * gate + bias + shortcut * shortcut_gate), and its means.
//
// Pointers to what is not given are null.

#pragma once

#include "teams.cuh"

struct Factors {
  float gate, bias, shortcut_gate;
};

__device__ __forceinline__ float finished(float x, float shortcut, const Factors& by) {
  return rectified(fmaf(shortcut, by.shortcut_gate, fmaf(x, by.gate, by.bias)));
}

// Of values that share their factors.
template <int count>
__device__ __forceinline__ Values<count> finish(
    scalar_t* x, const scalar_t* shortcut, const Factors& by) {
  Values<count> values = load<count>(x);
  const Values<count> other = shortcut == nullptr ? zeros<count>() : load<count>(shortcut);
#pragma unroll
  for (int n = 0; n < count; ++n) {
    values.value[n] = finished(values.value[n], other.value[n], by);
  }
  store<count>(values, x);
  return values;
}

// Factors for several channels.
template <int count>
struct FactorsOf {
  Values<count> gate, bias, shortcut_gate;

  __device__ __forceinline__ FactorsOf(
      const float* gates, const float* biases, const float* shortcut_gates, int image, int channels,
      int channel)
      : gate(load_or<count>(gates, image * channels + channel, 1.f)),
        bias(load_or<count>(biases, channel, 0.f)),
        shortcut_gate(load_or<count>(shortcut_gates, image * channels + channel, 1.f)) {}
};

// Of values that lie in neighbouring channels.
template <int count>
__device__ __forceinline__ Values<count> finish(
    scalar_t* x, const scalar_t* shortcut, const FactorsOf<count>& by) {
  Values<count> values = load<count>(x);
  const Values<count> other = shortcut == nullptr ? zeros<count>() : load<count>(shortcut);
#pragma unroll
  for (int n = 0; n < count; ++n) {
    values.value[n] = finished(
        values.value[n], other.value[n],
        {by.gate.value[n], by.bias.value[n], by.shortcut_gate.value[n]});
  }
  store<count>(values, x);
  return values;
}

// A whole map in whatever layout, of which no channel differs from another.
__global__ void __launch_bounds__(kThreads) tail_run(
    scalar_t* x, const scalar_t* shortcut, int count, int wide) {
  const Factors by{1.f, 0.f, 1.f};
  const auto other = [=](int i) { return shortcut == nullptr ? nullptr : shortcut + i; };
  over_run(
      x, count, wide != 0, blockIdx.x * kThreads + threadIdx.x, gridDim.x * kThreads,
      [&](int i) { finish<1>(x + i, other(i), by); },
      [&](int i) { finish<kWide>(x + i, other(i), by); });
}

template <bool block, bool with_means>
__global__ void __launch_bounds__(kThreads) tail_planes(
    scalar_t* x, const scalar_t* shortcut, const float* __restrict__ gate,
    const float* __restrict__ bias, const float* __restrict__ shortcut_gate,
    float* __restrict__ means, int channels, int planes, int area, int wide) {
  const int plane = Team<block>::plane();
  if (plane >= planes) {
    return;  // with all of its team
  }
  const Factors by{
      gate == nullptr ? 1.f : gate[plane], bias == nullptr ? 0.f : bias[plane % channels],
      shortcut_gate == nullptr ? 1.f : shortcut_gate[plane]};
  scalar_t* const run = x + plane * area;
  const auto other = [=](int i) {
    return shortcut == nullptr ? nullptr : shortcut + plane * area + i;
  };
  float sum = 0.f;
  over_run(
      run, area, wide != 0, Team<block>::rank(), Team<block>::size,
      [&](int i) { sum += finish<1>(run + i, other(i), by).value[0]; },
      [&](int i) {
        const Values<kWide> values = finish<kWide>(run + i, other(i), by);
#pragma unroll
        for (int n = 0; n < kWide; ++n) {
          sum += values.value[n];
        }
      });
  if constexpr (with_means) {
    sum = Team<block>::sum(sum);
    if (Team<block>::rank() == 0) {
      means[plane] = sum / static_cast<float>(area);
    }
  }
}

template <int wide>
__global__ void __launch_bounds__(kThreads) tail_pixels(
    scalar_t* x, const scalar_t* shortcut, const float* __restrict__ gate,
    const float* __restrict__ bias, const float* __restrict__ shortcut_gate, int channels,
    int area) {
  const int image = blockIdx.y;
  const int place = (blockIdx.x * kThreads + threadIdx.x) * wide;
  if (place >= area * channels) {
    return;
  }
  const FactorsOf<wide> by(gate, bias, shortcut_gate, image, channels, place % channels);
  const int i = image * area * channels + place;
  finish<wide>(x + i, shortcut == nullptr ? nullptr : shortcut + i, by);
}

template <int wide>
__global__ void __launch_bounds__(kThreads) tail_pixels_means(
    scalar_t* x, const scalar_t* shortcut, const float* __restrict__ gate,
    const float* __restrict__ bias, const float* __restrict__ shortcut_gate,
    float* __restrict__ means, int channels, int area) {
  using Own = Tile<wide>;
  const int image = blockIdx.y, channel = Own::channel();
  Values<wide> sums = zeros<wide>();
  if (channel < channels) {
    const FactorsOf<wide> by(gate, bias, shortcut_gate, image, channels, channel);
    const int first = image * area * channels + channel;
#pragma unroll 2
    for (int pixel = Own::row(); pixel < area; pixel += Own::rows) {
      const int i = first + pixel * channels;
      const Values<wide> values =
          finish<wide>(x + i, shortcut == nullptr ? nullptr : shortcut + i, by);
#pragma unroll
      for (int n = 0; n < wide; ++n) {
        sums.value[n] += values.value[n];
      }
    }
  }
  Own::put_means(sums, means, image, channels, area);
}
