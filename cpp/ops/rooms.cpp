#include "ops/rooms.h"

#include "eval/device_kernels.h"
#include "ops/cpu.h"

#define LAZULITE_COMPOSED(room)
#define LAZULITE_ROOM(room)    \
  namespace lazulite {         \
  OpList room##_ops();         \
  void register_##room(cpu::Kernels&); \
  }
#include "ops/rooms.inc"

namespace lazulite {

const OpList& ops_of_rooms() {
  static const OpList* all = [] {
    auto* list = new OpList;
    auto add = [&](const OpList& ops) { list->insert(list->end(), ops.begin(), ops.end()); };
#define LAZULITE_COMPOSED(room)
#define LAZULITE_ROOM(room) add(room##_ops());
#include "ops/rooms.inc"
    return list;
  }();
  return *all;
}

constinit std::atomic<bool> rooms_registered{false};

void register_rooms() {
  [[maybe_unused]] static const bool once = [] {
    cpu::Kernels kernels;
#define LAZULITE_COMPOSED(room)
#define LAZULITE_ROOM(room) register_##room(kernels);
#include "ops/rooms.inc"
    rooms_registered.store(true, std::memory_order_release);
    return true;
  }();
}

}  // namespace lazulite
