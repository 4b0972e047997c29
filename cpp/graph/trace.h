// Trace: an open function transform. Every node recorded on this thread lands on its tape.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "graph/node.h"

namespace lazulite {

// Opens on construction, closes on close() or destruction (also by exception). One thread.
struct Trace {
  // `abstract`: its arguments have no values (vmap, compile).
  explicit Trace(const char* transform, bool abstract = false);
  ~Trace();
  Trace(const Trace&) = delete;
  // Stops recording; the outer trace (if any) receives the tape, or what `keep` of it selects.
  void stop(const std::function<bool(const Node&)>& keep = nullptr);
  void close();  // stops, unpins, and drops the inputs of what was evaluated

  const char* name;
  uint64_t begin;  // sequence number at the opening
  std::vector<Ref<Node>> tape;
  Trace* outer;
  bool recording = true, open = true, abstract;
  bool reverse = false;  // its tape will be walked backward: ops keep what that needs (Op::keep)
  bool watched = true;   // it, or one around it, may ask its nodes for rules
  // Rules that its nodes name weakly: whatever keeps a node or a graph, and hence may be reached
  // from a rule, keeps no rule. Passed on to the outer trace; released when the last one closes.
  std::vector<std::shared_ptr<const void>> rules;
};

// While it lives this thread records on no tape: for kernels that record and evaluate.
struct Untraced {
  Untraced();
  ~Untraced();
  Untraced(const Untraced&) = delete;
  Trace* outer;
};

Trace* current_trace();
// Raises where `old`, the value of an object that is changed in place, is older than an open
// abstract trace: the object would keep a value that belongs to the trace.
void check_retarget(const array& old);
uint64_t next_sequence();

// Traces that are kept capture arrays by reference to the objects that hold them: when such an
// object is changed in place, the trace is out of date.
std::atomic<uint64_t>& capture_clock();  // counts such changes
void note_captured(const array&);
void note_change(Node& old);
// To be called before an object that holds `old` gets another value.
inline void before_change(const array& old) {
  if (current_trace()) check_retarget(old);
  if (old.node()->captured.load(std::memory_order_relaxed)) note_change(*old.node());
}

}  // namespace lazulite
