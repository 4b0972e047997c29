// The public header. Functions have the names that they have in Python.
//
//   array, Operand, Scalar, Dtype, Shape, Axes      values
//   eval, async_eval, synchronize, plan, Profile    evaluation
//   add, exp, where, clip, astype ...               ops/elementwise
//   reshape, transpose, slice, concatenate ...      ops/shape
//   zeros, full, arange, linspace ...               ops/create
//   sum, mean, max, argmax, softmax ...             ops/reduce
//   cumsum, cumprod, cummax, logcumsumexp ...       ops/cumulative
//   index, take, gather, scatter ...                ops/index
//   sort, argsort, topk, searchsorted ...           ops/sort
//   matmul, addmm, tensordot ...                    ops/matmul
//   conv_general, conv, conv_transpose              ops/conv
//   fast::scaled_dot_product_attention              ops/attention
//   quantize, dequantize, quantized_matmul ...      ops/quant
//   fast::max_pool, fast::avg_pool ...              ops/pool
//   fast::max_pool, avg_pool, resample ...          ops/pool
//   sparse::product, sampled_product ...            ops/sparse
//   stack, pad; eye, kron, einsum; diff, average    ops/compose: made of the others
//   linalg::solve, svd, norm, eigh ...              ops/linalg
//   bincount, histogram, interp, polyfit, cov ...   ops/numeric: made of the others
//   random::key, random::uniform, normal ...        ops/random
//   fast::layer_norm, fast::rms_norm                ops/fused
//   fft::fft, fft::rfft, fft::fftn ...              ops/fft
//   convolve, correlate, hadamard_transform         ops/signal
//   load_array                                      ops/files
//   foreign                                         ops/foreign
//   vjp, jvp, vmap, grad, custom_call, checkpoint   transform
//   scan, while_loop, fori_loop, cond               transform/control_flow/loops.h
//   FunctionGraph (compile)                         transform/function_graph.h
//   FunctionWriter, ImportedFunction                transform/export/exported.h
#pragma once
#include "eval/eval.h"
#include "eval/profile.h"
#include "ops/attention/attention.h"
#include "ops/compose/array.h"
#include "ops/compose/einsum.h"
#include "ops/compose/pad.h"
#include "ops/compose/shape.h"
#include "ops/compose/statistics.h"
#include "ops/compose/window.h"
#include "ops/conv/conv.h"
#include "ops/create/create.h"
#include "ops/cumulative/cumulative.h"
#include "ops/elementwise/elementwise.h"
#include "ops/fft/fft.h"
#include "ops/files/files.h"
#include "ops/foreign/foreign.h"
#include "ops/fused/fused.h"
#include "ops/index/index.h"
#include "ops/linalg/linalg.h"
#include "ops/matmul/matmul.h"
#include "ops/numeric/numeric.h"
#include "ops/quant/quant.h"
#include "ops/pool/pool.h"
#include "ops/random/random.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"
#include "ops/signal/signal.h"
#include "ops/sort/sort.h"
#include "ops/sparse/sparse.h"
#include "transform/export/exported.h"
#include "transform/control_flow/loops.h"
#include "transform/function_graph.h"
#include "transform/transform.h"
