// Several operators at one call: a call by itself takes longer than the smallest of them.

#pragma once

#include "excite.h"
#include "pointwise.h"
#include "scale.h"
#include "squeeze.h"
#include "tail.h"

namespace {

Tensor squeeze_excite(
    const Tensor& x, const Tensor& weight1, const OptionalTensor& bias1, const Tensor& weight2,
    const OptionalTensor& bias2, const OptionalTensor& factor) {
  return excite(squeeze(x, false), weight1, bias1, weight2, bias2, factor);
}

void squeeze_excite_tail_(
    const Tensor& x, const Tensor& weight1, const OptionalTensor& bias1, const Tensor& weight2,
    const OptionalTensor& bias2, const OptionalTensor& factor, const OptionalTensor& shortcut,
    const OptionalTensor& bias, const OptionalTensor& shortcut_gate) {
  const Tensor gate = squeeze_excite(x, weight1, bias1, weight2, bias2, factor);
  tail_(x, shortcut, gate, bias, shortcut_gate);
}

Tensor excite_scale(
    const Tensor& x, const Tensor& squeezed, const Tensor& weight1, const OptionalTensor& bias1,
    const Tensor& weight2, const OptionalTensor& bias2, const OptionalTensor& factor) {
  return scale(x, excite(squeezed, weight1, bias1, weight2, bias2, factor), 1);
}

#ifdef SE_MODELS_POINTWISE
std::tuple<Tensor, Tensor, Tensor> pointwise_squeeze_excite(
    const Tensor& x, const Tensor& weight, const OptionalTensor& bias, const OptionalTensor& x_gate,
    int64_t stride, const OptionalTensor& shortcut, const OptionalTensor& gate,
    const OptionalTensor& shift, const OptionalTensor& shortcut_gate, bool relu,
    const Tensor& weight1, const OptionalTensor& bias1, const Tensor& weight2,
    const OptionalTensor& bias2, const OptionalTensor& factor) {
  auto [y, means] = pointwise_squeeze(
      x, weight, bias, x_gate, stride, shortcut, gate, shift, shortcut_gate, relu);
  Tensor own = excite(means, weight1, bias1, weight2, bias2, factor);
  return {std::move(y), std::move(means), std::move(own)};
}
#endif

}  // namespace
