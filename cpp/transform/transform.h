// Function transforms over flat lists of arrays: vjp, jvp, vmap, and functions with rules of their
// own.
//
// Each call makes its own leaves and opens a Trace; the function records ordinary nodes on its
// tape; the tape, which is in creation order, is then rewritten into other ordinary nodes. These
// land on the enclosing trace, so transforms nest in any order without levels. Calling thread only.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "graph/array.h"
#include "graph/node.h"

namespace lazulite {

using ArrayList = std::vector<array>;
using Function = std::function<ArrayList(const ArrayList&)>;

// Outputs of f and, for the cotangents of its outputs, those of its arguments. `cotangents` is
// asked once f has run; a null array there is a zero. Arguments that are not inexact get null
// arrays, or, with `integers`, what the same rules give in integer arithmetic.
std::pair<ArrayList, ArrayList> vjp(
    const Function& f, const ArrayList& primals,
    const std::function<ArrayList(const ArrayList& outputs)>& cotangents, bool integers = false);
std::pair<ArrayList, ArrayList> jvp(const Function& f, const ArrayList& primals,
                                    const ArrayList& tangents, bool integers = false);

// Derivatives as matrices: f runs once, and what it recorded is walked for each of the rows, which
// lie along a first axis, as lanes. Of one vjp for each row of `rows(outputs)` the cotangents of
// the arguments, along a first axis; of one jvp for each row of rows[k], alone, the tangents of the
// outputs by argument k, along a last axis.
std::pair<ArrayList, ArrayList> vjp_of_each(
    const Function& f, const ArrayList& primals,
    const std::function<ArrayList(const ArrayList& outputs)>& rows);
std::pair<ArrayList, std::vector<ArrayList>> jvp_of_each(const Function& f,
                                                         const ArrayList& primals,
                                                         const ArrayList& rows);

// The gradients of a function whose first output is a scalar.
ArrayList grad(const Function& f, const ArrayList& arguments);

// in_axes[i] = -1: not mapped. Outputs are mapped over the axes that came about (-1: not at all).
ArrayList vmap(const Function& f, const ArrayList& inputs, const Axes& in_axes, Axes& out_axes);
// The same, moved: out_axes(n) gives the wanted axis of each of n outputs (-1: not mapped).
ArrayList vmap(const Function& f, const ArrayList& inputs, const Axes& in_axes,
               const std::function<Axes(const ArrayList& lane_outputs)>& out_axes);

// Rules that replace what the derivatives and the batching of a function's ops would give. An empty
// one: that of its ops. Null arrays are zeros in cotangents, tangents and results.
struct Rules {
  std::function<ArrayList(const ArrayList& primals, const ArrayList& cotangents,
                          const ArrayList& outputs)>
      vjp;
  std::function<ArrayList(const ArrayList& primals, const ArrayList& tangents)> jvp;
  std::function<std::pair<ArrayList, Axes>(const ArrayList& inputs, const Axes& axes)> vmap;
  // In place of vjp where it is there: cotangents of integers among the primals are wanted as well.
  std::function<ArrayList(const ArrayList& primals, const ArrayList& cotangents)> vjp_integers;
};
// f(arguments), with rules of its own under the transforms that are open.
ArrayList custom_call(const Function& f, const ArrayList& arguments, const Rules& rules);
// f(arguments), whose inner values are computed again for its vjp instead of being kept.
ArrayList checkpoint_call(const Function& f, const ArrayList& arguments);

}  // namespace lazulite
