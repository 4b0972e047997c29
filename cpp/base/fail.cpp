#include "base/fail.h"

namespace lazulite {

void fail_with(Kind kind, std::string_view op, std::string text) {
  if (op.empty()) throw Error(kind, std::move(text));
  std::string whole;
  whole.reserve(op.size() + text.size() + 3);
  whole.append("[").append(op).append("] ").append(text);
  throw Error(kind, std::move(whole));
}

}  // namespace lazulite
