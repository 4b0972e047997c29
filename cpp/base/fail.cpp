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
  const std::string step = text_.substr(1, end - 1);
  other.text_.replace(1, end - 1, function);
  // Its shape and dtype are perhaps not those of the result.
  if (kind_ == Kind::memory && step != function) other.text_ += "; in its step " + step;
  return other;
}

}  // namespace lazulite
