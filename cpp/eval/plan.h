// Plan: which pending nodes run, in what order, in which groups. Data; built under the plan lock.
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "device/program.h"
#include "eval/eval.h"
#include "graph/node.h"

namespace lazulite {

// An evaluation under way. Whoever needs a node that it claimed waits for the end of the run.
struct Run : Counted {
  // Never with the GIL held. Meanwhile `between` is called about every 50 ms; what it throws ends
  // the waiting.
  void wait(const std::function<void()>& between);
  void finish();
  bool done = false;  // under `mutex`
  bool background = false;
  uint32_t stream = 0;                   // of a background run
  std::atomic<bool> cancelled{
      false};  // a background run that nobody wants to wait for: it stops at its next step
  // Under the plan lock, but for `current`: what it does, for forked children and for those who
  // look for cycles.
  struct Plan* plan = nullptr;
  std::atomic<int64_t> current{-1};  // the unit that runs
  std::thread::id thread;
  uint64_t mark = 0;                 // of the planning that met it last
  Run *previous = nullptr, *next = nullptr;
  std::mutex mutex;
  std::condition_variable changed;
};

struct KnownUnit;  // plan/known.h
class KnownPlan;

// One step: a fused group of elementwise nodes, or one view, constant or kernel. A group may
// surround kernels: members before them form what the kernels read first, members behind one take
// what it makes.
struct Unit {
  struct Member {
    Node* node;
    bool stored;  // somebody outside the group may read it
  };
  SmallVector<Member, 4> members;  // in order
  int depth = 0;                   // barriers below it
  int made = 0;                    // arrays that it reads and other units make
  int joined = -1;                 // while groups form: the unit that it became a part of
  bool fused = false;
  int kernel = -1, kernels = 0;    // of a fused unit: its first member that is one, and how many
  bool needed = false;             // while groups form: a unit of the same depth needs it
  Shape domain;                    // of a group
  Stream stream;
  const KnownUnit* known = nullptr;  // of a known plan, which the Plan holds
  // Members [0, before()) and [after(), members.size()) are programs, those between kernels.
  size_t before() const { return kernel < 0 ? members.size() : size_t(kernel); }
  size_t after() const { return before() + size_t(kernels); }
  bool forms() const { return kernel > 0; }  // the kernels' first input
  bool goes_on() const { return after() < members.size(); }
};

struct Plan {
  std::vector<Unit> units;         // in order of execution
  std::vector<Ref<Node>> roots;    // keep everything alive
  std::vector<Ref<Run>> waits;     // earlier runs that claimed what is needed here
  double elements = 0;             // about how much work
  std::shared_ptr<const KnownPlan> known;  // whose units these are
  void count(const Node&);         // the work of a node
  PlanSummary summary() const;
  std::string text() const;        // a line per op, in order; names show it
  std::string dot() const;         // for Graphviz: fused groups as boxes
};

// Orders and groups what `roots` need. With `claim`, every node in the plan belongs to it from
// then on; without, nothing changes (for printing). The caller holds the plan lock.
//
// The order keeps the peak small: depth first, what is made last is used first, and who reads an
// array comes before who updates it in place. `width` > 0 asks for breadth first from the outputs
// while fewer than that many units are in view, depth first beyond (environment:
// LAZULITE_BFS_MAX_WIDTH or MLX_BFS_MAX_WIDTH).
Plan make_plan(const array* roots, size_t count, const Ref<Run>& claim,
               int width = default_plan_width());
// For tests: groups of at least so many elements end in a kernel. Returns what was.
int64_t set_least_absorbed(int64_t elements);
// For tests: values of so many bytes may be formed again in each group that reads them.
int64_t set_least_formed_again(int64_t bytes);
// Plans of graphs that come again are kept (plan/known.h): how many there are, and how often one
// was found; and an end to all of them, for who changes what plans depend on.
struct KnownCount {
  size_t kept;
  uint64_t found;
};
KnownCount count_known();
void forget_plans();
// How much all plans so far looked at: what planning costs, for tests, in numbers that are exact.
uint64_t planning_work();

std::mutex& plan_mutex();

// What a group reads from outside, in order: constants are numbers of its program, the others are
// loaded.
struct Source {
  const array* value;
  uint32_t reg;
  int32_t reads;  // by members
  bool constant;
};
using Sources = SmallVector<Source, 8>;
// The program of members [from, to) of a fused unit: bindings are what it loads (whose strides it
// holds), then the stored members, then what is formed for a kernel.
void build_program(const Unit&, size_t from, size_t to, BlockProgram&, Sources&);
// "fused {exp add} into sum", "matmul into fused {add}": the members in the words given for them.
std::string sentence(const std::vector<std::string>& words, size_t before, size_t after);

}  // namespace lazulite
