#include "base/fail.h"

namespace lazulite {

void fail_with(Kind kind, std::string_view op, std::string text) {
  if (op.empty()) throw Error(kind, std::move(text));
  std::string whole;
  whole.reserve(op.size() + text.size() + 3);
  whole.append("[").append(op).append("] ").append(text);
  throw Error(kind, std::move(whole));
}

Error Error::named(std::string_view function) const {
  const size_t end = text_.find(']');
  if (deferred_ || function.empty() || text_.empty() || text_[0] != '[' || end == std::string::npos)
    return *this;
  Error other = *this;
  other.text_.replace(1, end - 1, function);
  return other;
}

}  // namespace lazulite
