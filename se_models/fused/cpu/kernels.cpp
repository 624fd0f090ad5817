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

TORCH_LIBRARY_IMPL(se_models, CPU, m) {
  m.impl("squeeze", TORCH_FN(squeeze));
  m.impl("excite", TORCH_FN(excite));
  m.impl("tail_", TORCH_FN(tail_));
  m.impl("tail_squeeze_", TORCH_FN(tail_squeeze_));
  m.impl("scale", TORCH_FN(scale));
  m.impl("squeeze_excite", TORCH_FN(squeeze_excite));
  m.impl("squeeze_excite_tail_", TORCH_FN(squeeze_excite_tail_));
  m.impl("excite_scale", TORCH_FN(excite_scale));
#ifdef SE_MODELS_POINTWISE
  m.impl("pointwise", TORCH_FN(pointwise));
  m.impl("pointwise_squeeze", TORCH_FN(pointwise_squeeze));
  m.impl("pointwise_squeeze_excite", TORCH_FN(pointwise_squeeze_excite));
#endif
}

TORCH_LIBRARY_IMPL(se_models, Autograd, m) {
  for (const char* name : {"squeeze", "excite", "tail_", "tail_squeeze_", "scale", "squeeze_excite",
                           "squeeze_excite_tail_", "excite_scale", "pointwise",
                           "pointwise_squeeze", "pointwise_squeeze_excite"}) {
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&refuse_gradients>());
  }
}
