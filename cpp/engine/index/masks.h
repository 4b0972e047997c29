// Elements by a mask of the same shape, in its own order, without an array of places.
#pragma once
#include <cstdint>
#include <vector>

namespace lazulite::engine {

// What each instruction-set level provides. Elements of 1, 2, 4, 8 and 16 bytes.
struct MaskKernels {
  int64_t (*count)(const bool* mask, int64_t n);
  // Elements where the mask is true, one after the other, `room` of them at most; gives how many.
  int64_t (*compress[5])(const void* from, const bool* mask, int64_t n, void* to, int64_t room);
  // to[i] = the next value where the mask is true, else from[i]; gives how many values were taken
  // of those `there`, which suffice.
  int64_t (*expand[5])(const void* from, const bool* mask, int64_t n, const void* values,
                       int64_t there, void* to);
};

int64_t count_true(const bool* mask, int64_t n);
// How many are true before each chunk of `grain` elements, and in all.
std::vector<int64_t> true_before_chunks(const bool* mask, int64_t n);
// What `size` leaves over is 0.
void compress(const void* from, const bool* mask, int64_t n, int64_t bytes, void* to,
              int64_t size);
// False, and nothing done, where there are fewer values than places for them (`count` says how
// many).
bool expand(const void* from, const bool* mask, int64_t n, int64_t bytes, const void* values,
            int64_t there, void* to, int64_t& count);

}  // namespace lazulite::engine
