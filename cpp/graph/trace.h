// Trace: an open function transform. Every node recorded on this thread lands on its tape.
#pragma once
#include <vector>

#include "graph/node.h"

namespace lazulite {

// Opens on construction, closes on close() or destruction (also by exception). One thread.
struct Trace {
  explicit Trace(const char* transform);
  ~Trace();
  Trace(const Trace&) = delete;
  void close();  // unpins; drops inputs of what was evaluated; hands the tape to the outer trace

  const char* name;
  uint64_t begin;  // sequence number at the opening
  std::vector<Ref<Node>> tape;
  Trace* outer;
  bool open = true;
};

Trace* current_trace();
uint64_t next_sequence();

}  // namespace lazulite
