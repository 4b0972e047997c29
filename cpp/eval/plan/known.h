// Known plans: programs run the same graph again and again, over other arrays. What planning found
// out about a form of graph, and the programs of its groups, serve the next graph of that form.
// What can differ between two graphs of one form (who holds their memory, how what they make lies)
// is asked for as units run, as for any plan.
#pragma once
#include <deque>

#include "eval/execute.h"
#include "eval/plan.h"

namespace lazulite {

// A pending graph in numbers: equal forms (and equal attributes) get equal plans.
struct Form {
  std::vector<uint64_t> words;
  std::vector<const Attrs*> attributes;  // of the nodes that have any, in order
  uint64_t hash = 0;
};

// A fused unit of a known plan. Its program is built when such a unit runs for the first time.
struct KnownUnit {
  struct Read {  // a source of the program: input `input` of member `member`
    uint32_t member, input;
    uint32_t reg;
    int32_t reads;
    bool constant;
  };
  using Reads = SmallVector<Read, 8>;
  struct Built {
    GroupProgram program;
    Reads before, behind;
  };

  Unit unit;                 // members have no nodes,
  SmallVector<int, 4> at;    // but places in the order of the graph
  mutable std::atomic<const Built*> built{nullptr};  // by whoever comes first

  KnownUnit() = default;
  KnownUnit(const KnownUnit&) = delete;
  ~KnownUnit() { delete built.load(); }
};

class KnownPlan {
 public:
  // `order` as planned, whose nodes lie in the units of the plan.
  KnownPlan(const Form& form, const std::vector<Node*>& order, const Plan& plan);
  bool has(const Form&) const;
  // The plan of a graph of this form; a unit of it refers to its KnownUnit.
  void plan(const std::vector<Node*>& order, Plan&) const;
  size_t words() const { return words_.size(); }

 private:
  std::vector<uint64_t> words_;
  std::vector<AttrsRef> attributes_;
  std::deque<KnownUnit> units_;
  double elements_ = 0;
};

// All under the plan lock. Nodes of the graph have the mark `planning`; arrays that it reads get
// the next one. False: this one is planned anew each time.
bool describe_form(const std::vector<Node*>& order, const array* roots, size_t count,
                   uint64_t planning, Form&);
std::shared_ptr<const KnownPlan> find_known(const Form&);
// True when such a form was met before, and should be kept this time.
bool met_before(const Form&);
void keep_known(const Form&, const std::vector<Node*>& order, const Plan&);

// Where the sources that a unit's program was built with come from.
void note_sources(const Unit&, const Sources& before, const Sources& behind, KnownUnit::Built&);
// The sources of another such unit; false: what it reads lies otherwise.
bool known_sources(const Unit&, const KnownUnit::Built&, Sources& before, Sources& behind);

}  // namespace lazulite
