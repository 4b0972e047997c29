// Prepared: a plan that is made once and run many times with other inputs, for the bodies of loops.
//
// Owned by one thread at a time. What a run needs besides its outputs lies in one arena, planned by
// when values are made and last read; what may be handed out (results, views of them, what updates
// write over) has buffers of its own, which are freed or written over as soon as nothing later
// reads them.
#pragma once
#include <deque>
#include <unordered_map>

#include "eval/execute.h"
#include "eval/plan.h"
#include "eval/waves.h"

namespace lazulite {

class Prepared {
 public:
  // `inputs` are ready arrays that nobody else holds nodes of; `outputs` follow from them and
  // constants.
  Prepared(const std::vector<array>& inputs, const std::vector<array>& outputs);
  // True when these inputs lie in memory as those of the first run did: only then may they run.
  bool fits(const std::vector<Storage>& inputs) const;
  // Takes the inputs out of their places; a buffer that is theirs alone may be written over.
  // `outputs` receives where the results are: a dense place that is given there is used, unless the
  // result is part of an input or a view.
  void run(std::vector<Storage>& inputs, std::vector<Storage>& outputs);
  void rest() { arena_ = {}; }  // until the next run nothing is held but constants
  int64_t arena_bytes() const { return arena_bytes_; }
  double shared_ns() const;  // about what a run does that threads share

 private:
  struct Reading {
    int value;
    const Spec* spec;
    int32_t reads;
    bool dies;
  };
  struct Making {
    int value;
    const Spec* spec;
  };
  // What an output of a view showed, of an input that lay so.
  struct Shown {
    int from;
    int64_t input_offset, offset;
    Strides input_strides, strides;
  };
  struct Piece {
    const Unit* unit;
    int wave;
    bool built = false;
    GroupProgram program;         // fused
    SmallVector<Reading, 4> in;   // as StepMemory has them
    size_t kernels = 0, behind = 0;
    SmallVector<Making, 2> out;   // what it stores, in order
    SmallVector<int, 8> dies;     // values that nothing reads after it
    SmallVector<Strides, 2> seen;  // of the loose values among `in`, when programs were built
    SmallVector<Shown, 1> shown;   // of a view: empty where it was copied
  };
  void build(Piece&);
  bool still_fits(const Piece&) const;
  void reads(Piece&, const array& input);
  bool needs_program(const Piece&) const;
  bool show_again(const Piece&);
  void note_shown(Piece&);
  void run(Piece&);
  void run(size_t first, const Wave&);
  void find_lives();
  void plan_arena();
  void make_arena();
  int number(const array& a) const { return first_.at(a.node().get()) + int(a.index()); }
  void give_place(const Making&, Storage&);  // in the arena, or among the outputs; or none

  Plan plan_;
  std::vector<array> inputs_, outputs_;
  std::unordered_map<const Node*, int> first_;  // the number of each node's first value
  std::vector<Strides> layout_;         // of the inputs
  std::vector<Wave> waves_;
  std::deque<Piece> pieces_;            // stay where they are
  std::vector<int> results_;            // the value of each output
  std::vector<char> last_;              // no later output is the same value, and it is no constant
  std::vector<int> place_;              // the output whose place a value may use, or -1
  std::vector<char> fixed_;             // constants stay
  std::vector<char> shared_;            // pieces of the wave where a value dies read it together
  std::vector<char>
      loose_;  // a kernel says where these lie, or they are views of such: at each run anew
  std::vector<int64_t> arena_at_;       // where a value lies in the arena, in bytes, or -1
  int64_t arena_bytes_ = 0;
  Ref<Buffer> arena_;
  std::vector<Storage> values_;
  std::vector<Storage>* places_ = nullptr;
};

}  // namespace lazulite
