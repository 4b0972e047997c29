// The derivative of scan: a loop the other way round over what the loop forward kept.
#include <algorithm>
#include <functional>

#include "ops/elementwise/elementwise.h"
#include "transform/control_flow/loops.h"
#include "transform/control_flow/scan.h"

namespace lazulite::bodies {

namespace {

using Operand = FunctionGraph::Operand;
using Step = FunctionGraph::Step;

// A body and its derivative: (inputs..., cotangents of the outputs that are followed...) ->
// (outputs..., cotangents of the inputs that are followed...).
FunctionGraph joint_of(const FunctionGraph& body, bool integers) {
  const size_t n = body.arguments();
  std::vector<Spec> specs = body.argument_specs();
  for (const Spec& spec : body.output_specs())
    if (follows(spec.type, integers)) specs.push_back(spec);
  auto both = [&](const ArrayList& leaves) {
    auto cotangents = [&](const ArrayList& out) {
      ArrayList list;
      size_t next = n;
      for (const array& o : out)
        list.push_back(follows(o.dtype(), integers) ? leaves[next++] : array());
      return list;
    };
    auto [values, grads] = vjp([&](const ArrayList& in) { return body(in); }, part(leaves, 0, n),
                               cotangents, integers);
    for (const array& g : grads)
      if (g) values.push_back(g);
    return values;
  };
  return FunctionGraph(both, specs, "scan");
}

// Where that graph is cut. What depends on cotangents goes back; what it needs besides comes as x
// or constant, is formed again of these (views too), or is kept by the loop forward.
class Cut {
 public:
  Cut(const FunctionGraph& joint, const Scan& scan)
      : joint_(joint), scan_(scan), inputs_(scan.body->arguments()),
        step_of_(joint.values(), nullptr), late_(joint.values(), 0), fixed_(joint.values(), 0),
        foreign_(joint.values(), 0) {
    for (size_t i = 0; i < joint.arguments(); ++i) {
      late_[i] = i >= inputs_;
      fixed_[i] = i >= scan.carries + scan.xs && i < inputs_;
    }
    for (const Step& step : joint.steps()) classify(step);
  }

  // What the way back to these takes of the way forward, in order.
  std::vector<int64_t> kept_for(const std::vector<Operand>& grads) const {
    std::vector<int64_t> kept = needed_for(grads);
    // Elementwise values that follow from others that are kept, or there anyway, are formed again:
    // 1 - y * y beside y.
    std::sort(kept.begin(), kept.end(), std::greater<>());
    std::vector<char> there(joint_.values(), 0);
    for (int64_t v : kept) there[v] = 1;
    for (size_t i = scan_.carries; i < inputs_; ++i) there[i] = 1;
    std::erase_if(kept, [&](int64_t v) { return follows_from(there, v); });
    std::reverse(kept.begin(), kept.end());
    return kept;
  }

 private:
  void classify(const Step& step) {
    bool late = false, fixed = !step.op->barrier, foreign = false;
    for (const Operand& o : step.in) {
      late |= o.value >= 0 && late_[o.value];
      fixed &= o.value < 0 || fixed_[o.value];
      foreign |= o.value < 0 || foreign_[o.value];
    }
    for (size_t k = 0; k < step.specs.size(); ++k) {
      const int64_t v = step.first + int64_t(k);
      step_of_[v] = &step;
      late_[v] = late;
      fixed_[v] = fixed && !late;
      foreign_[v] = foreign;
    }
  }

  std::vector<int64_t> needed_for(const std::vector<Operand>& grads) const {
    std::vector<int64_t> kept;
    std::vector<const Step*> stack;
    std::vector<char> seen(joint_.values(), 0);
    auto need = [&](const Operand& o) {
      if (o.value < 0 || seen[o.value]) return;
      seen[o.value] = 1;
      const Step* step = step_of_[o.value];
      if (!step) {
        if (size_t(o.value) < scan_.carries) kept.push_back(o.value);
      } else if (formed_again(o.value)) {
        stack.push_back(step);
      } else {
        kept.push_back(o.value);
      }
    };
    for (const Operand& o : grads) need(o);
    while (!stack.empty()) {
      const Step* step = stack.back();
      stack.pop_back();
      for (const Operand& o : step->in) need(o);
    }
    return kept;
  }
  bool formed_again(int64_t v) const {
    const Op& op = *step_of_[v]->op;
    return late_[v] || fixed_[v] || foreign_[v] || (op.kind == OpKind::view && !op.barrier);
  }
  bool follows_from(const std::vector<char>& there, int64_t v) const {
    const Step* step = step_of_[v];
    if (!step || step->op->kind != OpKind::elementwise) return false;
    return std::all_of(step->in.begin(), step->in.end(), [&](const Operand& o) {
      if (o.value < 0 || there[o.value]) return true;
      return step_of_[o.value] && step_of_[o.value]->op->kind == OpKind::constant;
    });
  }

  const FunctionGraph& joint_;
  const Scan& scan_;
  const size_t inputs_;
  std::vector<const Step*> step_of_;  // null: an argument
  std::vector<char> late_,   // depends on cotangents
      fixed_,                // depends on constants alone
      foreign_;              // depends on what a rule made of arrays of its own: formed on the way
                             // back, since this loop does not take those
};

// The same loop, whose last ys are the values that its derivative needs; `back` is that derivative.
Ref<Scan> keeping(const Scan& plain, bool integers) {
  const FunctionGraph joint = joint_of(*plain.body, integers);
  const int64_t n = int64_t(plain.body->arguments());
  const size_t outputs = plain.body->outputs().size();
  const std::vector<Operand> grads(joint.outputs().begin() + ptrdiff_t(outputs),
                                   joint.outputs().end());
  const std::vector<int64_t> kept = Cut(joint, plain).kept_for(grads);

  std::vector<Operand> forward(joint.outputs().begin(),
                               joint.outputs().begin() + ptrdiff_t(outputs));
  for (int64_t v : kept) forward.push_back({v, {}});
  std::vector<int64_t> backward = value_range(n, int64_t(joint.arguments()));
  for (int64_t i = int64_t(plain.carries); i < n; ++i) backward.push_back(i);
  backward.insert(backward.end(), kept.begin(), kept.end());

  auto made = make_ref<Scan>(plain);
  made->body = joint.part(value_range(0, n), forward);
  made->shown = outputs;
  made->back = joint.part(backward, grads);
  made->integers = integers;
  return made;
}

// One walk back: the node, the cotangents of its outputs, and which inputs want theirs.
class WayBack {
 public:
  WayBack(const Node& node, const Arrays& cotangents, const Needs& needs)
      : node_(node), cotangents_(cotangents), needs_(needs),
        integers_(any_integer(node.inputs, needs)), scan_(&scan_of(node)) {
    ArrayList outputs;
    for (uint32_t i = 0; i < node.out.size(); ++i) outputs.push_back(recorded(node, i));
    bool complete = scan_->back && scan_->integers == integers_;
    for (size_t i = scan_->shown; i < cotangents.size(); ++i) complete &= !cotangents[i];
    if (!complete) {  // recorded without, or its kept values are differentiated themselves
      made_ = keeping(*scan_, integers_);
      scan_ = made_.get();
      outputs = as_list(record_all(*node.op, AttrsRef(made_), node.inputs, node.stream));
    }
    const ArrayList inputs = as_list(node.inputs);
    xs_ = part(inputs, scan_->carries, scan_->xs);
    constants_ = part(inputs, first_constant_input(), inputs.size() - first_constant_input());
    kept_ = part(outputs, scan_->shown, outputs.size() - scan_->shown);
    read_cotangents();
    find_wanted();
    find_products();
  }

  Arrays operator()() {
    const ArrayList out = loop();
    Arrays result;
    result.resize(node_.inputs.size());
    size_t at = 0;
    for (size_t i = 0; i < scan_->carries; ++i)
      if (follows(node_.inputs[i].dtype(), integers_)) result[i] = out[at++];
    for (const Wanted& c : of_constants_)
      if (!c.product) result[c.input] = out[at++];
    for (const Wanted& x : of_xs_) result[x.input] = out[at++];
    const ArrayList taken = part(out, at, emitted_.size());
    for (const Wanted& c : of_constants_)
      if (c.product) result[c.input] = sum_of_products(*c.product, taken);
    return result;
  }

 private:
  struct Wanted {  // an input whose cotangent is wanted
    size_t input;
    Operand grad;                   // in `back`
    const Step* product = nullptr;  // a constant's: the op that gives it, done after the loop
  };

  size_t first_constant_input() const { return scan_->carries + scan_->xs; }

  // Carried: cotangents of the carry. Read: those of ys, then xs and what was kept.
  void read_cotangents() {
    for (size_t i = 0; i < scan_->shown; ++i) {
      const Spec& spec = node_.out[i].spec;
      if (!follows(spec.type, integers_)) continue;
      ArrayList& list = i < scan_->carries ? init_ : rows_;
      list.push_back(or_zeros(i < cotangents_.size() ? cotangents_[i] : array(), spec));
    }
    carried_ = init_.size();
    given_ = rows_.size();
    rows_.insert(rows_.end(), xs_.begin(), xs_.end());
    rows_.insert(rows_.end(), kept_.begin(), kept_.end());
  }

  void find_wanted() {
    size_t at = carried_;
    for (size_t i = scan_->carries; i < node_.inputs.size(); ++i) {
      if (!follows(node_.inputs[i].dtype(), integers_)) continue;
      const Operand& grad = scan_->back->outputs()[at++];
      if (needs_[i]) (i < first_constant_input() ? of_xs_ : of_constants_).push_back({i, grad});
    }
  }

  // A constant's cotangent is the sum over the steps. Where the op that gives it can sum over lanes
  // (products can), the loop gives what that op takes, and it is done once, afterwards.
  void find_products() {
    const std::vector<char> late = followers(*scan_->back, std::vector<char>(carried_ + given_, 1));
    for (Wanted& c : of_constants_) {
      for (const Step& step : scan_->back->steps())
        if (c.grad.value == step.first && step.op->sum_lanes && step.specs[0].shape.size() == 2)
          c.product = &step;
      if (!c.product) continue;
      for (const Operand& o : c.product->in)
        if (late[o.value] && std::find(emitted_.begin(), emitted_.end(), o.value) == emitted_.end())
          emitted_.push_back(o.value);
    }
  }

  ArrayList loop() {
    std::vector<Operand> results(scan_->back->outputs().begin(),
                                 scan_->back->outputs().begin() + ptrdiff_t(carried_));
    for (const Wanted& c : of_constants_)
      if (!c.product) {
        results.push_back(c.grad);
        init_.push_back(zeros_as(node_.inputs[c.input].slot().spec));
      }
    for (const Wanted& x : of_xs_) results.push_back(x.grad);
    for (int64_t v : emitted_) results.push_back({v, {}});
    const GraphRef body =
        scan_->back->part(value_range(0, int64_t(scan_->back->arguments())), results);
    const size_t first_row = init_.size();
    auto step = [&](const ArrayList& leaves) {
      const ArrayList of_carry = part(leaves, 0, carried_),
                      read = part(leaves, first_row, given_ + xs_.size()),
                      kept = part(leaves, first_row + given_ + xs_.size(), kept_.size());
      ArrayList next = (*body)(joined({&of_carry, &read, &constants_, &kept}));
      for (size_t k = carried_; k < first_row; ++k)
        next[k] = add(leaves[k], next[k], default_stream());
      return next;
    };
    return scan(step, init_, rows_, scan_->length, !scan_->reverse);
  }

  array sum_of_products(const Step& product, const ArrayList& taken) const {
    const int64_t first_x = int64_t(carried_ + given_),
                  first_constant = first_x + int64_t(xs_.size()),
                  first_kept = first_constant + int64_t(constants_.size());
    std::vector<int64_t> places = value_range(first_x, first_kept + int64_t(kept_.size()));
    places.insert(places.end(), emitted_.begin(), emitted_.end());
    Axes axes, found;
    for (int64_t p : places) axes.push_back(p >= first_constant && p < first_kept ? -1 : 0);
    const ArrayList operands = lanes_of(*scan_->back->part(places, product.in),
                                        joined({&xs_, &constants_, &kept_, &taken}), axes, found);
    return product.op->sum_lanes(as_inputs(operands), found, node_.stream);
  }

  const Node& node_;
  const Arrays& cotangents_;
  const Needs& needs_;
  const bool integers_;
  const Scan* scan_;
  Ref<Scan> made_;  // in its place
  ArrayList xs_, constants_, kept_;
  ArrayList init_, rows_;             // of the loop back
  size_t carried_ = 0, given_ = 0;    // cotangents of carries, of ys
  std::vector<Wanted> of_xs_, of_constants_;
  std::vector<int64_t> emitted_;      // late values that products take
};

}  // namespace

size_t keep_scan(AttrsRef& attributes, const Arrays&) {
  const Scan& s = static_cast<const Scan&>(*attributes);
  if (s.back) return SIZE_MAX;
  const size_t shown = s.body->outputs().size();
  bool inexact = false;
  for (const Spec& spec : s.body->output_specs()) inexact |= is_inexact(spec.type);
  if (inexact) attributes = keeping(s, false);
  return shown;
}

Arrays vjp_scan(const Node& node, const Arrays& cotangents, const Needs& needs) {
  return WayBack(node, cotangents, needs)();
}

}  // namespace lazulite::bodies
