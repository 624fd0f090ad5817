// No operator has gradients: asked for them, each refuses, where torch would warn and go on.

#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/GradMode.h>

namespace {

void refuse_gradients(
    const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  if (c10::GradMode::is_enabled()) {
    for (const c10::IValue& given : torch::jit::last(*stack, op.schema().arguments().size())) {
      TORCH_CHECK(!given.isTensor() || !given.toTensor().requires_grad(), op.schema().name(),
                  " is for inference: no argument may require gradients");
    }
  }
  at::AutoDispatchBelowAutograd below;
  op.redispatchBoxed(keys & c10::after_autograd_keyset, stack);
}

}  // namespace
