// The public header. Functions have the names that they have in Python.
//
//   array, Operand, Scalar, Dtype, Shape, Axes      values
//   eval, async_eval, synchronize, plan_text        evaluation
//   add, exp, where, clip, astype ...               ops/elementwise
//   reshape, transpose, slice, concatenate ...      ops/shape
//   sum, mean, max, softmax ...                     ops/reduce
//   vjp, jvp, vmap, grad, Graph (compile)           transform
#pragma once
#include "eval/eval.h"
#include "ops/elementwise/elementwise.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"
#include "transform/transform.h"
