"""Where tests may do without NVRTC: only where torch has no CUDA, in whose wheels it comes.

Elsewhere they fail if it is missing, since nobody would see that nothing was compiled.
"""

import pytest
import torch

needs_nvrtc = pytest.mark.skipif(torch.version.cuda is None, reason="this torch has no CUDA")
