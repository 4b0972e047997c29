#include "engine/attention/rotate.h"

#include "engine/attention/room.h"

namespace lazulite::engine {

void rotate(const Rotation& r, const HeadsView& x, const char* cos, const char* sin,
            const int64_t (&angle_strides)[2], char* out) {
  const AttentionKernels& k = attention_kernels().of[index_of(r.type)];
  const int64_t each = size_of(r.type), bytes = size_of(compute_type(r.type)),
                rows = r.batch * r.heads * r.places;
  for_items(rows, double(r.length), [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      const int64_t t = i % r.places, h = i / r.places % r.heads, b = i / r.places / r.heads,
                    angle = (b * angle_strides[0] + t * angle_strides[1]) * bytes;
      k.rotate({x.data + (b * x.strides[0] + h * x.strides[1] + t * x.strides[2]) * each,
                cos + angle, sin + angle, out + i * r.length * each, r.length, r.pairs,
                r.neighbours, r.back});
    }
  });
}

}  // namespace lazulite::engine
