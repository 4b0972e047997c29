#include "base/env.h"

#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <set>
#include <utility>

namespace lazulite::env {

namespace {
struct Complaints {
  std::mutex mutex;
  std::set<std::string> names;
  std::vector<std::string> waiting;
};
Complaints& known() {
  static auto* all = new Complaints;
  return *all;
}
std::string lowered(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return text;
}
}  // namespace

std::optional<std::string> text(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return std::string(value);
}

std::optional<int64_t> integer(const char* name, int64_t least, int64_t most) {
  const auto value = text(name);
  if (!value) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const long long number = std::strtoll(value->c_str(), &end, 10);
  if (!errno && !*end && number >= least && number <= most) return number;
  complain(name, least == INT64_MIN  ? "a whole number"
                 : most == INT64_MAX ? "a whole number from " + std::to_string(least)
                                     : "a whole number from " + std::to_string(least) + " to " +
                                           std::to_string(most));
  return std::nullopt;
}

bool flag(const char* name, bool otherwise) {
  const auto given = text(name);
  if (!given) return otherwise;
  const std::string value = lowered(*given);
  if (value == "0" || value == "false" || value == "off" || value == "no") return false;
  if (value == "1" || value == "true" || value == "on" || value == "yes") return true;
  complain(name, "0 or 1");
  return otherwise;
}

std::optional<std::string> choice(const char* name, std::initializer_list<const char*> names) {
  const auto value = text(name);
  if (!value) return std::nullopt;
  std::string expected = "one of ";
  for (const char* one : names) {
    if (*value == one) return value;
    expected += (expected == "one of " ? "" : ", ") + std::string(one);
  }
  complain(name, expected);
  return std::nullopt;
}

void complain(const char* name, const std::string& expected) {
  const std::lock_guard guard(known().mutex);
  if (!known().names.insert(name).second) return;
  std::string all = "[" + std::string(name) + "] ignored: got '" + text(name).value_or("") +
                    "', expected " + expected;
  for (char& c : all)
    if (c < ' ' || c > '~') c = '?';  // any bytes can stand in a variable
  known().waiting.push_back(std::move(all));
}

std::vector<std::string> complaints() {
  const std::lock_guard guard(known().mutex);
  return std::exchange(known().waiting, {});
}

}  // namespace lazulite::env
