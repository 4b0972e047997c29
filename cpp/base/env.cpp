#include "base/env.h"

#include <cerrno>
#include <cstdlib>

#include "base/fail.h"

namespace lazulite::env {

std::optional<std::string> text(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return std::string(value);
}

std::optional<int64_t> integer(const char* name) {
  auto value = text(name);
  if (!value) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const long long number = std::strtoll(value->c_str(), &end, 10);
  if (errno || *end) fail(Kind::value, name, "not a whole number: got '", *value, "'");
  return number;
}

bool flag(const char* name, bool otherwise) {
  auto value = text(name);
  if (!value) return otherwise;
  return *value != "0" && *value != "false" && *value != "off" && *value != "no";
}

}  // namespace lazulite::env
