#include "graph/origin.h"

#include <mutex>
#include <unordered_map>

namespace lazulite {

std::atomic<bool> debugging_nans{false}, noting_origins{false};

namespace {
struct Origins {
  std::mutex mutex;
  std::unordered_map<const Node*, std::string> lines;
  int debugging = 0, noting = 0;  // how often they are on
};
Origins& origins() {
  static auto* all = new Origins;
  return *all;
}
std::atomic<LineHook> hook{nullptr};
}  // namespace

void debug_nans(bool on) {
  note_origins(on);
  const std::lock_guard<std::mutex> guard(origins().mutex);
  origins().debugging += on ? 1 : -1;
  debugging_nans.store(origins().debugging > 0);
}

void note_origins(bool on) {
  const std::lock_guard<std::mutex> guard(origins().mutex);
  origins().noting += on ? 1 : -1;
  noting_origins.store(origins().noting > 0);
  if (origins().noting == 0) origins().lines.clear();
}

void set_line_hook(LineHook h) { hook.store(h); }

std::string current_line() {
  const LineHook h = hook.load();
  return h ? h() : std::string();
}

void note_origin(const Node* node) {
  std::string line = current_line();
  const std::lock_guard<std::mutex> guard(origins().mutex);
  origins().lines[node] = std::move(line);
}

void forget_origin(const Node* node) {
  const std::lock_guard<std::mutex> guard(origins().mutex);
  origins().lines.erase(node);
}

std::string origin_of(const Node* node) {
  const std::lock_guard<std::mutex> guard(origins().mutex);
  const auto found = origins().lines.find(node);
  return found == origins().lines.end() ? std::string() : found->second;
}

}  // namespace lazulite
