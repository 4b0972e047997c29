// The windows of signal processing (Harris, 1978): M float32 samples, symmetric; of one sample: 1.
#pragma once
#include "graph/node.h"

namespace lazulite {

array hanning(int64_t M, Stream s = default_stream());
array hamming(int64_t M, Stream s = default_stream());
array blackman(int64_t M, Stream s = default_stream());
array bartlett(int64_t M, Stream s = default_stream());

}  // namespace lazulite
