#include "transform/find_op.h"

#include <unordered_map>

namespace lazulite {

const Op* find_op(std::string_view name) {
  static const auto* all = [] {
    auto* map = new std::unordered_map<std::string_view, const Op*>;
    for (const OpList& list : {ops_of_rooms(), scan_ops(), while_ops(), cond_ops()})
      for (const Op* op : list) map->emplace(op->name, op);
    return map;
  }();
  const auto found = all->find(name);
  return found == all->end() ? nullptr : found->second;
}

}  // namespace lazulite
