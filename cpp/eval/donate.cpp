// When a step may write over memory that it reads: the one rule, for plans and for prepared plans.
#include "base/env.h"
#include "eval/plan.h"
#include "graph/origin.h"

namespace lazulite {

bool may_overwrite(const Spec& spec, const Storage& storage, bool by_element, int64_t reads) {
  static const bool donating = env::flag("LAZULITE_DONATE", true);
  // A block program reads an element before it writes there, however often. An update begins with
  // its base and writes here and there: as its value or its index the base would be read half
  // written.
  if (!donating || (!by_element && reads != 1)) return false;
  // Only the input holds the buffer: no view of it is alive, in this step or elsewhere.
  const Buffer& buffer = *storage.buffer;
  return buffer.refs.load() == 1 && buffer.writable && !buffer.foreign && storage.offset == 0 &&
         is_dense(spec.shape, storage.strides) &&
         buffer.bytes == size_of(spec.shape) * size_of(spec.type);
}

bool may_donate(const array& input, int64_t reads, bool by_element) {
  const Node& node = *input.node();
  const Slot& slot = input.slot();
  return node.pins.load() == 0 && node.out.size() == 1 && node.refs.load() == reads &&
         may_overwrite(slot.spec, slot.storage, by_element, reads);
}

bool may_donate(const Unit& unit, const array& input) {
  if (debugging_nans.load(std::memory_order_relaxed))
    return false;  // inputs are looked at afterwards
  int64_t reads = 0;
  for (const auto& member : unit.members) {
    if (member.node->pins.load()) return false;
    for (const array& other : member.node->inputs) reads += other.node() == input.node();
  }
  return may_donate(input, reads, unit.fused);
}

}  // namespace lazulite
