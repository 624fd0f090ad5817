// The fused operators on CUDA; what each computes is said in ../operators.py.
//
// A feature map lies in memory either as planes (contiguous, NCHW: one gate for a
// run of H * W values) or as pixels (channels_last, NHWC: one gate for each of a
// run of C values). Every block has kThreads threads. All arithmetic and all sums
// are in float, and every sum has an order that follows from the shape alone.
// Indices are of 32 bits: whoever launches splits what is larger.
//
// SE_SCALAR says what a map holds: float, __half or __nv_bfloat16.

#include "excite.cuh"
#include "scale.cuh"
#include "squeeze.cuh"
#include "tail.cuh"
