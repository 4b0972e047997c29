// The ops of each room, for graphs from files (transform/find_op.h).
#pragma once
#include <vector>

#include "graph/node.h"

namespace lazulite {

using OpList = std::vector<const Op*>;
OpList create_ops();
OpList fused_ops();
OpList index_ops();
OpList matmul_ops();
OpList random_ops();
OpList reduce_ops();
OpList shape_ops();
OpList value_ops();  // elementwise: those with attributes or of their own kind
const std::vector<const Op*>& elementwise_ops();


}  // namespace lazulite
