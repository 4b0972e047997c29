// engine/attention alone: beside a plain softmax over all scores in double, for each dtype, at each
// level (CTest runs this at all of them) and number of threads.
#include "attention_samples.h"

using namespace lazulite;

namespace {

// By dot products of pairs or of tiles where the level has them.
TEST(Attention, OfHalvesIsTheSoftmaxOfAllScores) {
  tests::compare<bfloat16_t>(bfloat16, 60, 3e-2, 6e-2);
  tests::compare<float16_t>(float16, 30, 4e-3, 8e-3);
}

TEST(Attention, IsWhatAllScoresGive) {
  tests::compare<float>(float32, 60, 2e-5, 16e-5);
  tests::compare<double>(float64, 40, 1e-12, 8e-12);
}

}  // namespace
