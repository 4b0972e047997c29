// Plans as people see them: steps with their memory, the graph as text, the graph as a picture.
#include <algorithm>
#include <sstream>
#include <unordered_map>

#include "eval/device_kernels.h"
#include "eval/plan.h"

namespace lazulite {

// Replays the plan on paper: what each unit allocates, and what dies with it.
PlanSummary Plan::summary() const {
  PlanSummary out;
  struct Life {
    int64_t bytes = 0;
    int64_t uses = 0, last = -1;  // as an input in this plan
    int64_t counted = -1;         // the step whose dying inputs it is among
  };
  std::unordered_map<const Node*, Life> lives;
  for (size_t u = 0; u < units.size(); ++u)
    for (const auto& member : units[u].members) {
      for (const array& input : member.node->inputs) {
        Life& life = lives[input.node().get()];
        ++life.uses;
        life.last = int64_t(u);
      }
      lives[member.node];
    }
  // Views keep what they look at alive.
  for (size_t u = units.size(); u-- > 0;)
    for (const auto& member : units[u].members)
      if (member.node->op->kind == OpKind::view && !member.node->inputs.empty()) {
        Life& view = lives[member.node];
        const size_t first = member.node->inputs.size() - member.node->out.size();
        for (size_t i = first; i < member.node->inputs.size(); ++i) {
          Life& base = lives[member.node->inputs[i].node().get()];
          base.last = std::max(base.last, view.last);
          if (int64_t(member.node->refs.load()) > view.uses) base.last = INT64_MAX;
        }
      }
  int64_t live = 0;
  for (size_t u = 0; u < units.size(); ++u) {
    const Unit& unit = units[u];
    PlanStep step;
    step.fused = unit.fused;
    step.before = unit.before();
    step.after = unit.after();
    step.stream = unit.stream.id;
    for (const auto& member : unit.members) {
      const Node& node = *member.node;
      step.ops.push_back(node.op->name);
      step.attributes.push_back(text_of(node.attributes));
      step.stored.push_back(!unit.fused || member.stored);
      if (!step.stored.back()) continue;
      for (const Slot& slot : node.out) {
        std::ostringstream text;
        text << slot.spec.type << slot.spec.shape;
        step.results.push_back(text.str());
        if (node.op->kind == OpKind::view) continue;
        const int64_t bytes = size_of(slot.spec.shape) * size_of(slot.spec.type);
        lives[member.node].bytes += bytes;
        step.bytes += bytes;
      }
    }
    // What dies here, and may be written over.
    int64_t dying = 0, donated = 0;
    for (const auto& member : unit.members)
      for (const array& input : member.node->inputs) {
        const Node* node = input.node().get();
        Life& life = lives[node];
        if (life.last != int64_t(u) || int64_t(node->refs.load()) > life.uses ||
            life.counted == int64_t(u))
          continue;
        life.counted = int64_t(u);
        dying += life.bytes;
        const bool takes = unit.fused ? member.node->op->kind == OpKind::elementwise
                                      : member.node->op->update || in_place(*member.node);
        if (takes && life.bytes == step.bytes && donated == 0) donated = life.bytes;
      }
    step.bytes -= donated;
    live += step.bytes;
    out.peak_bytes = std::max(out.peak_bytes, live);
    live -= dying - donated;
    out.steps.push_back(std::move(step));
  }
  return out;
}

std::string sentence(const std::vector<std::string>& words, size_t before, size_t after) {
  std::string out;
  auto add = [&](size_t from, size_t to, const char* begin, const char* end) {
    if (from == to) return;
    out += out.empty() ? begin : std::string(" into ") + begin;
    for (size_t i = from; i < to; ++i) out += (i > from ? " " : "") + words[i];
    out += end;
  };
  add(0, before, "fused {", "}");
  add(before, after, "", "");
  add(after, words.size(), "fused {", "}");
  return out;
}

std::string PlanStep::print() const {
  std::vector<std::string> words;
  for (size_t i = 0; i < ops.size(); ++i) {
    const bool inside = i < before || after < ops.size();
    words.push_back(ops[i] + (attributes[i].empty() ? "" : "(" + attributes[i] + ")") +
                    (fused && inside && stored[i] ? "*" : ""));
  }
  std::string out = fused ? sentence(words, before, after) : words[0];
  for (auto& result : results) out += "  " + result;
  if (stream) out += "  stream " + std::to_string(stream);
  return out;
}

std::string PlanSummary::print() const {
  std::string out;
  for (size_t i = 0; i < steps.size(); ++i)
    out += std::to_string(i) + "  " + steps[i].print() + "\n";
  return out + "predicted peak: " + std::to_string(peak_bytes) + " bytes";
}

namespace {

// Names in the order of evaluation: results are numbered, what is there already has letters.
struct Names {
  std::unordered_map<const Node*, std::string> known;
  int letters = 0, numbers = 0;

  explicit Names(const Plan& plan) {
    for (const Unit& unit : plan.units)
      for (const auto& member : unit.members) known[member.node] = "t" + std::to_string(numbers++);
  }
  bool inside(const Node* node) const {
    const auto found = known.find(node);
    return found != known.end() && found->second[0] == 't';
  }
  const std::string& of(const Node* node) {
    auto [found, fresh] = known.try_emplace(node);
    if (fresh) {
      std::string name;
      for (int n = letters++; n >= 0; n = n / 26 - 1) name.insert(name.begin(), char('A' + n % 26));
      found->second = name;
    }
    return found->second;
  }
};

std::string spec_text(const Spec& spec) {
  std::ostringstream text;
  text << spec.type << spec.shape;
  return text.str();
}

bool is_number(const array& a) { return a.node()->op->kind == OpKind::constant; }
std::string number_text(const array& a) {
  std::ostringstream text;
  text << constant_value(a);
  return text.str();
}

}  // namespace

std::string Plan::text() const {
  Names names(*this);
  std::string out;
  int group = 0;
  for (const Unit& unit : units) {
    if (unit.fused && unit.members.size() > 1) out += "# group " + std::to_string(group++) + "\n";
    for (const auto& member : unit.members) {
      const Node& node = *member.node;
      std::string line = names.of(&node) + " = " + node.op->name + "(";
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (i) line += ", ";
        line += is_number(node.inputs[i]) && !names.inside(node.inputs[i].node().get())
                    ? number_text(node.inputs[i])
                    : names.of(node.inputs[i].node().get());
      }
      if (const std::string attributes = text_of(node.attributes); !attributes.empty())
        line += (node.inputs.empty() ? "" : ", ") + attributes;
      line += ")";
      for (const Slot& slot : node.out) line += "  " + spec_text(slot.spec);
      out += line + "\n";
    }
  }
  return out;
}

std::string Plan::dot() const {
  Names names(*this);
  std::ostringstream out;
  out << "digraph {\n  node [shape=ellipse, fontsize=10];\n";
  std::ostringstream edges;
  int group = 0;
  for (const Unit& unit : units) {
    const bool box = unit.fused && unit.members.size() > 1;
    if (box)
      out << "  subgraph cluster_" << group++
          << " {\n    style=rounded; color=gray; label=\"fused\"; fontsize=9;\n";
    for (const auto& member : unit.members) {
      const Node& node = *member.node;
      out << (box ? "    " : "  ") << names.of(&node) << " [label=\"" << names.of(&node) << " = "
          << node.op->name << "\\n"
          << (node.attributes ? text_of(node.attributes) + "\\n" : "")
          << spec_text(node.out[0].spec) << "\"];\n";
      for (const array& input : node.inputs) {
        const Node* from = input.node().get();
        if (is_number(input) && !names.inside(from)) continue;
        if (!names.inside(from)) {
          const bool fresh = !names.known.count(from);
          const std::string& name = names.of(from);
          if (fresh)
            edges << "  " << name << " [shape=box, label=\"" << name << "\\n"
                  << spec_text(input.slot().spec) << "\"];\n";
        }
        edges << "  " << names.of(from) << " -> " << names.of(&node) << ";\n";
      }
    }
    if (box) out << "  }\n";
  }
  out << edges.str() << "}\n";
  return out.str();
}

}  // namespace lazulite
