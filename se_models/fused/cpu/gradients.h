// No operator has derivatives: asked for them, each refuses, where torch would warn and go on, or
// drop a tangent in silence. What runs without this library is refused by ../refusals.py.

#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/AutogradState.h>

namespace {

void refuse_gradients(
    const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const c10::AutogradState& state = c10::AutogradState::get_tls_state();
  const bool backward = state.get_grad_mode(), forward = state.get_fw_grad_mode();
  for (const c10::IValue& given : torch::jit::last(*stack, op.schema().arguments().size())) {
    if (!given.isTensor()) {
      continue;
    }
    const at::Tensor& tensor = given.toTensor();
    TORCH_CHECK(!backward || !tensor.requires_grad(), op.schema().name(),
                " is for inference: no argument may require gradients");
    TORCH_CHECK(!forward || !tensor._fw_grad(0).defined(), op.schema().name(),
                " is for inference: no argument may have a tangent");
  }
  at::AutoDispatchBelowAutograd below;
  op.redispatchBoxed(keys & c10::after_autograd_keyset, stack);
}

}  // namespace
