// Row: everything that is true of an elementwise op and is not code. Read by plain units and by the
// units per instruction-set level.
#pragma once
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
  int ulp = 4;                  // accuracy in float32 and float64, against the exact value
  bool light = false;           // an instruction or two: less than what loads and stores cost
  bool pairs = false;           // has kernels that do it and another such op in one pass
  bool bounds = false;          // the same of those that keep one of their operands
  uint8_t opcode = 0;           // of x86, of packed floats: the vector instruction that does it
};

// The list at the foot of a family's header: the only one there is.
template <class... R>
struct rows {
  static constexpr int count = sizeof...(R);
};

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

#ifndef LAZULITE_LEVEL
const Op& find_elementwise_op(const char* name);
template <class R>
const Op& elementwise_op() {
  static const Op& op = find_elementwise_op(R::row.name);
  return op;
}
#endif

}  // namespace lazulite
