// Prepared: a plan that is made once and run many times with other inputs, for the bodies of loops.
//
// Owned by one thread at a time. What a run needs besides its outputs lies in one arena, planned by
// when values are made and last read; what may be handed out (results, views of them, what updates
// write over) has buffers of its own, which are freed or written over as soon as nothing later
// reads them.
#pragma once
#include <deque>
#include <unordered_map>

#include "eval/plan.h"

namespace lazulite {

class Prepared {
 public:
  // `inputs` are ready arrays that nobody else holds nodes of; `outputs` follow from them and
  // constants.
  Prepared(const std::vector<array>& inputs, const std::vector<array>& outputs);
  // True when these inputs lie in memory as those of the first run did: only then may they run.
  bool fits(const std::vector<Storage>& inputs) const;
  // Takes the inputs; a buffer that is theirs alone may be written over. `outputs` receives where
  // the results are: a dense place that is given there is used, unless the result is part of an
  // input or a view.
  void run(std::vector<Storage> inputs, std::vector<Storage>& outputs);
  void rest() { arena_ = {}; }  // until the next run nothing is held but constants
  int64_t arena_bytes() const { return arena_bytes_; }

 private:
  struct Piece {
    const Unit* unit;
    bool built = false;
    BlockProgram program;         // fused
    std::shared_ptr<const PlannedProgram> planned;
    SmallVector<int, 8> in, out;  // values by number: bindings, or inputs and outputs of the node
    SmallVector<int, 8> dies;
    SmallVector<const Spec*, 8> specs;  // of `in`
    SmallVector<Strides, 2> seen;  // of the loose values among `in`, when the program was built
    SmallVector<int, 8> makes;    // values that it stores, in order: `out`
  };
  void build(Piece&);
  bool still_fits(const Piece&) const;
  void run_fused(Piece&);
  void run_single(Piece&);
  void plan_arena();
  int number(const array& a) const { return first_.at(a.node().get()) + int(a.index()); }
  bool may_write(const Piece&, int value) const;  // its memory, which dies with the piece
  Storage take(int value, const Spec&);

  Plan plan_;
  std::vector<array> inputs_, outputs_;
  std::unordered_map<const Node*, int> first_;  // the number of each node's first value
  std::vector<Strides> layout_;         // of the inputs
  std::deque<Piece> pieces_;            // stay where they are
  std::vector<int> results_;            // the value of each output
  std::vector<int> place_;              // the output whose place a value may use, or -1
  std::vector<char> fixed_;             // constants stay
  std::vector<char>
      loose_;  // a kernel says where these lie, or they are views of such: at each run anew
  std::vector<int64_t> arena_at_;       // where a value lies in the arena, in bytes, or -1
  int64_t arena_bytes_ = 0;
  Ref<Buffer> arena_;
  std::vector<Storage> values_;
  std::vector<Storage>* places_ = nullptr;
};

}  // namespace lazulite
