// Row: everything that is true of an elementwise op and is not code. Read by plain units and by the
// units per instruction-set level.
#pragma once
#include <type_traits>

#include "base/dtype.h"

namespace lazulite {

enum class Promote : uint8_t {
  same,     // the common dtype of the operands
  inexact,  // integers and bool become float32 first
  logical,  // operands become bool
  shift,    // as same; bool becomes uint8
};
enum class Result : uint8_t { same, boolean, real };  // real: the part's dtype of a complex one

struct Row {
  const char* name;
  Promote promote = Promote::same;
  DtypeSet types = everything;  // after promotion
  Result result = Result::same;
  const char* doc = "";
  double lo = -2, hi = 2;       // where tests sample
  int ulp = 2;                  // accuracy in float32 and float64, against the exact value
  bool light = false;           // an instruction or two: less than what loads and stores cost
  bool pairs = false;           // has kernels that do it and another such op in one pass
  bool bounds = false;          // the same of those that keep one of their operands
  uint8_t opcode = 0;           // of x86, of packed floats: the vector instruction that does it
};

// The headers of rows. Each has a unit of rules and, per instruction-set level, one of kernels:
// rules_<set>.cpp and kernels_<set>.cpp. A set is what builds when one of its rows changes.
#define LAZULITE_ROW_SETS(X) \
  X(unary) X(arithmetic) X(binary) X(exponential) X(trigonometric) X(special)
#define LAZULITE_ROW_SET(set) set,
enum class RowSet : uint8_t { LAZULITE_ROW_SETS(LAZULITE_ROW_SET) };
#undef LAZULITE_ROW_SET

// The lists at the head of a header, of rows of one operand and of two: the only ones there are. A
// row's number is its place in the first and then the second.
template <class... R>
struct rows {
  static constexpr int count = sizeof...(R);
};
template <class One, class Two>
struct RowLists {
  using one = One;
  using two = Two;
};
template <class Row, class... One, class... Two>
constexpr int number_of(RowLists<rows<One...>, rows<Two...>>) {
  constexpr bool same[] = {std::is_same_v<Row, One>..., std::is_same_v<Row, Two>...};
  int number = 0;
  while (!same[number]) ++number;
  return number;
}

// The numbers of the rows that kernels of pairs and of expressions do, from 1 on; 0: of another
// row.
template <class Rows> struct Linked;
template <class... R> struct Linked<rows<R...>> {
  static constexpr bool has[] = {R::row.pairs...};
  static constexpr int count = (0 + ... + int(R::row.pairs));
};
template <class Rows>
constexpr int linked_number(int row) {
  int number = 0;
  for (int i = 0; i <= row; ++i) number += Linked<Rows>::has[i];
  return Linked<Rows>::has[row] ? number : 0;
}

// After a row, with the name of its function in C++. The units of rules make that of it (rules.h).
#ifndef LAZULITE_UNARY
#define LAZULITE_UNARY(Row, name)
#define LAZULITE_BINARY(Row, name)
#endif

}  // namespace lazulite
