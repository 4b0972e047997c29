// Plan: which pending nodes run, in what order, in which groups. Data; built under the plan lock.
#pragma once
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "device/program.h"
#include "eval/eval.h"
#include "graph/node.h"

namespace lazulite {

// An evaluation under way. Whoever needs a node that it claimed waits for the end of the run.
struct Run : Counted {
  void wait();    // never with the GIL held
  void finish();
  bool done = false;
  std::mutex mutex;
  std::condition_variable changed;
};

// One step: a fused group of elementwise nodes, or one view, constant or kernel.
struct Unit {
  struct Member {
    Node* node;
    bool stored;  // somebody outside the group may read it
  };
  SmallVector<Member, 4> members;  // in order
  int depth = 0;                   // barriers below it
  int outside = 0;                 // operands that come from memory
  bool fused = false;
  Shape domain;
  Stream stream;
};

struct Plan {
  std::vector<Unit> units;         // in order of execution
  std::vector<Ref<Node>> roots;    // keep everything alive
  std::vector<Ref<Run>> waits;     // earlier runs that claimed what is needed here
  double elements = 0;             // about how much work
  std::string print() const;
};

// Orders and groups what `roots` need. With `claim`, every node in the plan belongs to it from
// then on; without, nothing changes (for printing). The caller holds the plan lock.
Plan make_plan(const array* roots, size_t count, const Ref<Run>& claim);

std::mutex& plan_mutex();

// The program of a fused group; bindings receive loads, then stores (allocated or donated).
struct GroupProgram {
  BlockProgram program;
  SmallVector<Binding, 8> bindings;
  SmallVector<Storage, 4> outputs;  // of the stored members, in order
};
void build_group(const Unit&, GroupProgram&);

// True when `input` of the unit's nodes dies with them and its memory may be written: only they hold
// it, only it holds the buffer, dense, ours.
bool may_donate(const Unit&, const array& input);

}  // namespace lazulite
