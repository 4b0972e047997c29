#include "eval/profile.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <sstream>

#include "eval/plan.h"
#include "graph/origin.h"

namespace lazulite {

std::atomic<bool> profiling{false};

namespace {

constexpr size_t most_events = 1000000;

struct Recorder {
  std::mutex mutex;
  std::vector<ProfileEvent> events;
  int64_t begun = 0;
  bool full = false, running = false;
};
Recorder& recorder() {
  static auto* one = new Recorder;
  return *one;
}

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

LAZULITE_THREAD_LOCAL Profiled* innermost = nullptr;

double flops_of(const Node& node) {
  if (node.op->flops) return node.op->flops(node);
  if (node.op->kind == OpKind::view || node.op->kind == OpKind::constant || node.op->places)
    return 0;
  int64_t most = 0;
  for (const Slot& slot : node.out) most = std::max(most, size_of(slot.spec.shape));
  for (const array& input : node.inputs) most = std::max(most, input.size());
  return double(most);
}

ProfileEvent describe(const Unit& unit) {
  ProfileEvent event{};
  std::ostringstream result;
  std::vector<std::string> names, texts;
  for (const auto& member : unit.members) {
    const std::string attributes = text_of(member.node->attributes);
    names.push_back(member.node->op->name);
    texts.push_back(names.back() + (attributes.empty() ? "" : "(" + attributes + ")"));
  }
  const bool group = unit.fused && unit.members.size() > 1;
  event.name = group ? sentence(names, unit.before(), unit.after()) : names[0];
  event.text = group ? sentence(texts, unit.before(), unit.after()) : texts[0];
  const char* comma = "";
  std::vector<const array*> read;
  for (const auto& member : unit.members) {
    const Node& node = *member.node;
    event.flops += flops_of(node);
    for (const array& input : node.inputs) {
      bool inside = is_constant(input) && node.op->kind == OpKind::elementwise;
      for (const auto& other : unit.members) inside |= other.node == input.node().get();
      for (const array* known : read) inside |= known->same(input);
      if (inside) continue;
      read.push_back(&input);
      if (node.op->kind != OpKind::view) event.bytes += input.nbytes();
    }
    if (!member.stored) continue;
    for (const Slot& slot : node.out) {
      result << comma << slot.spec.type << slot.spec.shape;
      comma = " ";
      if (node.op->kind != OpKind::view)
        event.bytes += size_of(slot.spec.shape) * size_of(slot.spec.type);
    }
  }
  event.result = result.str();
  event.line = origin_of(unit.members.back().node);
  return event;
}

}  // namespace

void Profiled::begin(const Unit& unit) {
  entered_ = now();
  event_ = new ProfileEvent(describe(unit));  // now: the step's nodes may die with it
  outer_ = innermost;
  if (outer_ && event_->line.empty())
    event_->line = outer_->event_->line;  // of the loop that it is a step of
  innermost = this;
  start_ = now();
}

void Profiled::end() {
  event_->nanoseconds = now() - start_;
  event_->own = event_->nanoseconds - inside_;
  event_->thread = uint64_t(::syscall(SYS_gettid));
  innermost = outer_;
  Recorder& r = recorder();
  {
    const std::lock_guard<std::mutex> guard(r.mutex);
    event_->start = start_ - r.begun;
    if (r.running && r.events.size() < most_events) r.events.push_back(std::move(*event_));
    else r.full |= r.running;
  }
  delete event_;
  if (outer_) outer_->inside_ += now() - entered_;  // the looking too
}

void Profile::start() {
  Recorder& r = recorder();
  {
    const std::lock_guard<std::mutex> guard(r.mutex);
    if (r.running) fail(Kind::runtime, "profile", "another profile is running: one at a time");
    r.events.clear();
    r.full = false;
    r.running = true;
    r.begun = now();
  }
  running_ = true;
  note_origins(true);
  profiling.store(true);
}

void Profile::stop() {
  if (!running_) return;
  running_ = false;
  profiling.store(false);
  note_origins(false);
  Recorder& r = recorder();
  const std::lock_guard<std::mutex> guard(r.mutex);
  r.running = false;
  kept_ = std::move(r.events);
  full_ = r.full;
  r.events.clear();
}

std::vector<ProfileEvent> Profile::events() const {
  if (!running_) return kept_;
  Recorder& r = recorder();
  const std::lock_guard<std::mutex> guard(r.mutex);
  return r.events;
}

bool Profile::full() const { return full_; }

}  // namespace lazulite
