// A level that has some kernels only: the others are those of the level below.
#include "device/cpu/partial.h"

#include <gtest/gtest.h>

namespace lazulite {
namespace {

struct Table {
  int (*one)();
  int (*other[2])();
};

constexpr Table generic{[] { return 1; }, {[] { return 10; }, [] { return 20; }}};
const Table& numbers() { return generic; }

}  // namespace

[[maybe_unused]] void fill_numbers_avx2(Table& table) {
  table.other[1] = [] { return 21; };
}
LAZULITE_FILLED(Table, numbers, avx2)

}  // namespace lazulite

using lazulite::numbers_filled;
namespace cpu = lazulite::cpu;

TEST(Partial, what_a_level_lacks_is_that_of_the_level_below) {
  EXPECT_EQ(numbers_filled().one(), 1);
  EXPECT_EQ(numbers_filled().other[0](), 10);
  EXPECT_EQ(numbers_filled().other[1](), cpu::level() >= cpu::Level::avx2 ? 21 : 20);
}

TEST(Partial, below_its_level_a_table_is_plain) {
  const cpu::GenericLevel alone;
  EXPECT_EQ(numbers_filled().other[1](), 20);
}
