// The fused operators on the CPU; what each computes is said in ../operators.py.
//
// A feature map lies in memory either as planes (contiguous, NCHW: one gate for a
// run of H * W values) or as pixels (channels_last, NHWC: one gate for each of a
// run of C values). Each kernel has a loop for either, over whole vectors and then
// over the few values that are left. All arithmetic and all sums are in float, or
// in double for double.
//
// The headers are chapters of this one translation unit: torch's own headers take
// the compiler as long as half of what is here, and are read once.

#include <torch/library.h>

#include "calls.h"
#include "excite.h"
#include "gradients.h"
#include "pointwise.h"
#include "scale.h"
#include "squeeze.h"
#include "tail.h"

#define OF_ANY_CPU(each)                                                                  \
  each(squeeze) each(excite) each(tail_) each(tail_squeeze_) each(scale) each(squeeze_excite) \
  each(squeeze_excite_tail_) each(excite_scale)
// Operators whose kernels this CPU or torch may lack, and which then run by their reference.
#define OF_PRODUCTS(each) \
  each(pointwise) each(pointwise_squeeze) each(pointwise_squeeze_excite)

#define IMPLEMENT(name) m.impl(#name, TORCH_FN(name));
#define REFUSE_GRADIENTS(name) \
  m.impl(#name, torch::CppFunction::makeFromBoxedFunction<&refuse_gradients>());

TORCH_LIBRARY_IMPL(se_models, CPU, m) {
  OF_ANY_CPU(IMPLEMENT)
#ifdef SE_MODELS_POINTWISE
  OF_PRODUCTS(IMPLEMENT)
#endif
}

TORCH_LIBRARY_IMPL(se_models, Autograd, m) {
  OF_ANY_CPU(REFUSE_GRADIENTS)
  OF_PRODUCTS(REFUSE_GRADIENTS)
}
