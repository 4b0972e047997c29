// All ops by name, for graphs from files. Each room lists its own.
#pragma once
#include <string_view>
#include <vector>

#include "graph/node.h"

namespace lazulite {

using OpList = std::vector<const Op*>;
OpList create_ops();
OpList index_ops();
OpList matmul_ops();
OpList random_ops();
OpList reduce_ops();
OpList shape_ops();
OpList value_ops();  // elementwise: those with attributes or of their own kind
const std::vector<const Op*>& elementwise_ops();

OpList scan_ops();   // these in transform/
OpList while_ops();
OpList cond_ops();

const Op* find_op(std::string_view name);  // null: there is none of that name

}  // namespace lazulite
