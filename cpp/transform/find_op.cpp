#include "transform/find_op.h"

#include <unordered_map>

namespace lazulite {

const Op* find_op(std::string_view name) {
  static const auto* all = [] {
    auto* map = new std::unordered_map<std::string_view, const Op*>;
    for (const OpList& room :
         {create_ops(), fused_ops(), index_ops(), matmul_ops(), random_ops(), reduce_ops(),
          shape_ops(), value_ops(), elementwise_ops(), scan_ops(), while_ops(), cond_ops()})
      for (const Op* op : room) map->emplace(op->name, op);
    return map;
  }();
  const auto found = all->find(name);
  return found == all->end() ? nullptr : found->second;
}

}  // namespace lazulite
