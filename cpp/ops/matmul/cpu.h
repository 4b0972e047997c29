#pragma once
#include "graph/node.h"

namespace lazulite {

void matmul_kernel(const KernelCall& call);

}  // namespace lazulite
