"""The CUDA kernels of the fused operators, their compiler, and what launches them."""
