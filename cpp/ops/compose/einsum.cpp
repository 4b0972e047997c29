// einsum: two operands at a time, each pair one product of matrices (or of elements, where nothing
// is summed), in an order that is chosen before anything is recorded.
#include "ops/compose/einsum.h"

#include <algorithm>
#include <bitset>
#include <cctype>
#include <limits>

#include "ops/elementwise/elementwise.h"
#include "ops/matmul/matmul.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

// Labels: characters, then axes of the ellipsis counted from their last one.
constexpr int first_dotted = 128, label_count = first_dotted + max_axes;
using Labels = std::bitset<label_count>;
constexpr int most_optimal = 12, most_by_default = 8;

struct Terms {
  std::vector<Axes> inputs;  // the label of each axis
  Axes output;
  int64_t sizes[label_count];  // -1: no such label

  double volume(const Labels& labels) const {
    double v = 1;
    for (int l = 0; l < label_count; ++l)
      if (labels[size_t(l)]) v *= double(sizes[l]);
    return v;
  }
};

// ---- subscripts

struct Parsed {
  std::string letters;   // before the dots, then those behind
  int dots = -1;         // how many letters come before "...", or -1
};
Parsed parse_term(const std::string& term, const std::string& all, const char* op) {
  Parsed out;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term[i] == '.') {
      if (out.dots >= 0 || term.compare(i, 3, "...") != 0)
        fail(Kind::value, op, "dots that are no ellipsis: got '", term, "' in '", all,
             "', expected one '...' in a term");
      out.dots = int(out.letters.size());
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(term[i]))) {
      out.letters += term[i];
    } else {
      fail(Kind::value, op, "not a subscript: got '", term[i], "' in '", all,
           "', expected letters, '...', ',' and '->'");
    }
  }
  return out;
}
Axes labels_of(const Parsed& p, int dotted) {
  Axes out;
  for (size_t i = 0; i <= p.letters.size(); ++i) {
    if (int(i) == p.dots)
      for (int d = dotted - 1; d >= 0; --d) out.push_back(first_dotted + d);
    if (i < p.letters.size()) out.push_back(p.letters[i]);
  }
  return out;
}

// The size of each label; 1 meets every size.
void measure(Terms& t, const std::vector<array>& operands, const char* op) {
  std::fill_n(t.sizes, label_count, -1);
  for (size_t k = 0; k < operands.size(); ++k)
    for (int d = 0; d < operands[k].ndim(); ++d) {
      const int label = t.inputs[k][size_t(d)];
      const int64_t n = operands[k].shape()[size_t(d)];
      int64_t& size = t.sizes[label];
      if (size == -1 || size == 1) size = n;
      else if (n != 1 && n != size) {
        const std::string name = label < first_dotted ? std::string(1, char(label)) : "...";
        fail(Kind::value, op, "sizes differ: got ", size, " and ", n, " for subscript '", name,
             "', expected one size (or 1)");
      }
    }
}

Terms parse(const std::string& given, const std::vector<array>& operands, const char* op) {
  std::string text;
  for (char c : given)
    if (!std::isspace(static_cast<unsigned char>(c))) text += c;
  const size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  std::vector<Parsed> parsed;
  for (size_t from = 0, to; from <= left.size(); from = to + 1) {
    to = std::min(left.find(',', from), left.size());
    parsed.push_back(parse_term(left.substr(from, to - from), given, op));
  }
  if (parsed.size() != operands.size())
    fail(Kind::value, op, "'", given, "' names ", parsed.size(), " operands: got ",
         operands.size());
  Terms t;
  int widest = 0;  // of the ellipses
  bool any_dots = false;
  std::string letters;
  for (size_t k = 0; k < operands.size(); ++k) {
    const Parsed& p = parsed[k];
    const int rest = operands[k].ndim() - int(p.letters.size());
    if (rest < 0 || (rest > 0 && p.dots < 0))
      fail(Kind::value, op, "subscripts do not fit: got '", p.letters, "' for operand ", k,
           " of shape ", operands[k].shape(), ", expected a letter for each axis, or '...'");
    t.inputs.push_back(labels_of(p, rest));
    if (p.dots >= 0) {
      any_dots = true;
      widest = std::max(widest, rest);
    }
    letters += p.letters;
  }
  measure(t, operands, op);
  Parsed out;
  if (arrow == std::string::npos) {
    for (int c = 0; c < first_dotted; ++c)
      if (std::count(letters.begin(), letters.end(), char(c)) == 1) out.letters += char(c);
    if (any_dots) out.dots = 0;
  } else {
    out = parse_term(text.substr(arrow + 2), given, op);
  }
  t.output = labels_of(out, widest);
  Labels seen;
  for (char c : out.letters) {
    const size_t label = size_t(static_cast<unsigned char>(c));
    if (t.sizes[label] < 0)
      fail(Kind::value, op, "the output names what no operand does: got '", c, "' in '", given,
           "'");
    if (seen[label])
      fail(Kind::value, op, "the output names a subscript twice: got '", c, "' in '", given, "'");
    seen.set(label);
  }
  return t;
}

Labels set_of(const Axes& labels) {
  Labels out;
  for (int l : labels) out.set(size_t(l));
  return out;
}

// ---- the order

// The labels of what operands `a` and `b` give: those that others or the output have too.
struct Orders {
  const Terms& terms;
  std::vector<Labels> sets;  // of the operands
  Labels output;

  explicit Orders(const Terms& t) : terms(t), output(set_of(t.output)) {
    for (const Axes& labels : t.inputs) sets.push_back(set_of(labels));
  }

  std::vector<Shape> optimal() const;
  std::vector<Shape> greedy() const;
  std::vector<Shape> left() const {
    std::vector<Shape> out{{0, 1}};  // the result is the last: then it and the first
    for (int64_t n = int64_t(sets.size()) - 1; n > 1; --n) out.push_back({n - 1, 0});
    return out;
  }
};

// The best way for each subset of the operands, from those for its parts.
std::vector<Shape> Orders::optimal() const {
  const uint32_t n = uint32_t(sets.size()), full = (1u << n) - 1;
  std::vector<Labels> all(full + 1), kept(full + 1);
  for (uint32_t s = 1; s <= full; ++s) {
    const uint32_t low = uint32_t(__builtin_ctz(s));
    all[s] = all[s & (s - 1)] | sets[low];
  }
  for (uint32_t s = 1; s <= full; ++s) kept[s] = all[s] & (output | all[full & ~s]);
  std::vector<double> cost(full + 1, std::numeric_limits<double>::infinity());
  std::vector<uint32_t> part(full + 1, 0);
  for (uint32_t s = 1; s <= full; ++s) {
    if ((s & (s - 1)) == 0) {
      cost[s] = 0;
      continue;
    }
    for (uint32_t a = (s - 1) & s; a; a = (a - 1) & s) {
      const uint32_t b = s ^ a;
      if (a < b) continue;
      const double c = cost[a] + cost[b] + terms.volume(kept[a] | kept[b]);
      if (c < cost[s] || part[s] == 0) cost[s] = c, part[s] = a;
    }
  }
  std::vector<uint32_t> list, order, open{full};
  for (uint32_t i = 0; i < n; ++i) list.push_back(1u << i);
  while (!open.empty()) {  // parts come behind what they are parts of, until reversed
    const uint32_t s = open.back();
    open.pop_back();
    if ((s & (s - 1)) == 0) continue;
    order.push_back(s);
    open.push_back(part[s]);
    open.push_back(s ^ part[s]);
  }
  std::reverse(order.begin(), order.end());
  std::vector<Shape> steps;
  for (uint32_t s : order) {
    const auto place = [&](uint32_t of) {
      return int64_t(std::find(list.begin(), list.end(), of) - list.begin());
    };
    const int64_t a = place(part[s]), b = place(s ^ part[s]);
    steps.push_back({std::min(a, b), std::max(a, b)});
    list.erase(list.begin() + std::max(a, b));
    list.erase(list.begin() + std::min(a, b));
    list.push_back(s);
  }
  return steps;
}

// The pair whose product is smallest beside the two, among those that share a subscript first. What
// a pair saves changes only when one of the two does.
std::vector<Shape> Orders::greedy() const {
  std::vector<Labels> list = sets;
  int uses[label_count] = {};
  for (const Labels& set : list)
    for (size_t l = 0; l < label_count; ++l) uses[l] += set[l];
  const auto result = [&](const Labels& a, const Labels& b) {
    Labels out = a | b;
    for (size_t l = 0; l < label_count; ++l)
      if (out[l] && !output[l] && uses[l] == int(a[l]) + int(b[l])) out.reset(l);
    return out;
  };
  struct Score {
    bool apart;
    double grows;
    bool operator<(const Score& o) const {
      return apart != o.apart ? o.apart : grows < o.grows;
    }
  };
  const auto score = [&](const Labels& a, const Labels& b) {
    return Score{(a & b).none(),
                 terms.volume(result(a, b)) - terms.volume(a) - terms.volume(b)};
  };
  std::vector<std::vector<Score>> scores(list.size());  // [i][j], j < i
  const auto fill = [&](size_t i) {
    scores[i].clear();
    for (size_t j = 0; j < i; ++j) scores[i].push_back(score(list[i], list[j]));
  };
  for (size_t i = 0; i < list.size(); ++i) fill(i);
  std::vector<Shape> steps;
  while (list.size() > 1) {
    size_t a = 1, b = 0;
    for (size_t i = 1; i < list.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        if (scores[i][j] < scores[a][b]) a = i, b = j;
    steps.push_back({int64_t(b), int64_t(a)});
    const Labels made = result(list[a], list[b]);
    for (size_t l = 0; l < label_count; ++l)
      uses[l] += int(made[l]) - int(list[a][l]) - int(list[b][l]);
    for (const size_t gone : {a, b}) {
      list.erase(list.begin() + int64_t(gone));
      scores.erase(scores.begin() + int64_t(gone));
      for (size_t i = gone; i < scores.size(); ++i)
        scores[i].erase(scores[i].begin() + int64_t(gone));
    }
    list.push_back(made);
    scores.emplace_back();
    fill(list.size() - 1);
  }
  return steps;
}

void check_steps(const std::vector<Shape>& steps, size_t operands, const char* op) {
  int64_t n = int64_t(operands);
  for (const Shape& step : steps) {
    bool fits = !step.empty() && int64_t(step.size()) <= n;
    for (size_t i = 0; fits && i < step.size(); ++i)
      fits = step[i] >= 0 && step[i] < n && std::count(step.begin(), step.end(), step[i]) == 1;
    if (!fits)
      fail(Kind::value, op, "optimize: a step does not fit: got ", step, " with ", n,
           " arrays left, expected different places among them");
    n += 1 - int64_t(step.size());
  }
  if (n != 1)
    fail(Kind::value, op, "optimize: the path leaves ", n, " arrays: expected one");
}

std::vector<Shape> steps_of(const Terms& t, const EinsumOrder& order, const char* op) {
  const size_t n = t.inputs.size();
  if (order.method == "path") {
    check_steps(order.steps, n, op);
    return order.steps;
  }
  const bool optimal =
      order.method == "optimal" || (order.method == "auto" && n <= most_by_default);
  if (!optimal && order.method != "greedy" && order.method != "left" && order.method != "auto")
    fail(Kind::value, op, "optimize: got '", order.method,
         "', expected 'auto', 'optimal', 'greedy', 'left', a bool or a path");
  if (n == 1) return {{0}};
  if (n == 2) return {{0, 1}};
  if (optimal && n > size_t(most_optimal))
    fail(Kind::value, op, "optimize: too many operands for 'optimal': got ", n,
         ", expected at most ", most_optimal, ", or 'greedy'");
  const Orders orders(t);
  return optimal ? orders.optimal() : order.method == "left" ? orders.left() : orders.greedy();
}

// ---- products

struct Factor {
  array a;
  Axes labels;
};

bool has(const Axes& labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}
int place_of(const Axes& labels, int label) {
  return int(std::find(labels.begin(), labels.end(), label) - labels.begin());
}

array total(const array& a, const Axes& axes, Stream s) {
  if (axes.empty()) return a;
  if (is_bool(a.dtype())) return any(a, axes, false, s);
  return astype(sum(a, axes, false, s), a.dtype(), s);
}

// Labels that occur twice become diagonals; axes of one element go, and come back at the end.
Factor prepared(array a, Axes labels, Stream s) {
  for (size_t j = 1; j < labels.size(); ++j)
    for (size_t i = 0; i < j; ++i) {
      if (labels[i] != labels[j]) continue;
      const int label = labels[i];
      if (a.shape()[i] == a.shape()[j]) {
        a = diagonal(a, 0, int(i), int(j), s);
        labels.erase(labels.begin() + j);
        labels.erase(labels.begin() + i);
        labels.push_back(label);
      } else {  // one of them is 1, since sizes were compared
        const size_t one = a.shape()[i] == 1 ? i : j;
        a = squeeze(a, Axes{int(one)}, s);
        labels.erase(labels.begin() + one);
      }
      j = 0;
      break;
    }
  Axes kept, ones;
  for (size_t d = 0; d < labels.size(); ++d)
    if (a.shape()[d] == 1) ones.push_back(int(d));
    else kept.push_back(labels[d]);
  return {ones.empty() ? a : squeeze(a, ones, s), kept};
}
Factor only(const Factor& t, const Labels& wanted, Stream s) {
  Axes axes, kept;
  for (size_t d = 0; d < t.labels.size(); ++d)
    if (wanted[size_t(t.labels[d])]) kept.push_back(t.labels[d]);
    else axes.push_back(int(d));
  return {total(t.a, axes, s), kept};
}

array in_order(const Factor& t, const Axes& labels, Stream s) {
  Axes order;
  for (int l : labels) order.push_back(place_of(t.labels, l));
  for (size_t i = 0; i < order.size(); ++i)
    if (order[i] != int(i)) return transpose(t.a, order, s);
  return t.a;
}
// The axes of the labels, with one of size 1 for each that it has not.
array aligned(const Factor& t, const Axes& labels, Stream s) {
  Axes own, missing;
  for (size_t i = 0; i < labels.size(); ++i)
    if (has(t.labels, labels[i])) own.push_back(labels[i]);
    else missing.push_back(int(i));
  const array a = in_order(t, own, s);
  return missing.empty() ? a : expand_dims(a, missing, s);
}

// Sums along the last axes of products of elements.
array sums_of_products(const array& x, const array& y, size_t axes, Stream s) {
  const Dtype t = x.dtype(), wide = compute_type(t);
  const array product = multiply(astype(x, wide, s), astype(y, wide, s), s);
  Axes last;
  for (size_t i = 0; i < axes; ++i) last.push_back(-1 - int(i));
  return astype(total(product, last, s), t, s);
}

Axes joined(std::initializer_list<const Axes*> parts) {
  Axes out;
  for (const Axes* p : parts) out.append(p->begin(), p->end());
  return out;
}

// The product of two: labels of both that are kept are batches, others of both are summed.
Factor product(const Factor& x, const Factor& y, const Labels& kept, const Axes& output, Stream s) {
  Axes batch, left, right, inner;
  const Factor& larger = x.a.size() >= y.a.size() ? x : y;
  for (int l : larger.labels)
    if (has(x.labels, l) && has(y.labels, l)) (kept[size_t(l)] ? batch : inner).push_back(l);
  for (int l : x.labels)
    if (!has(y.labels, l)) left.push_back(l);
  for (int l : y.labels)
    if (!has(x.labels, l)) right.push_back(l);
  if (inner.empty()) {
    Axes order;  // as in the output, as far as that names them
    const Axes all = joined({&batch, &left, &right});
    for (int l : output)
      if (has(all, l)) order.push_back(l);
    for (int l : all)
      if (!has(order, l)) order.push_back(l);
    return {multiply(aligned(x, order, s), aligned(y, order, s), s), order};
  }
  const array a = in_order(x, joined({&batch, &left, &inner}), s),
              b = in_order(y, left.empty() && right.empty() ? joined({&batch, &inner})
                                                            : joined({&batch, &inner, &right}), s);
  if (!batch.empty() && left.empty() && right.empty())
    return {sums_of_products(a, b, inner.size(), s), batch};
  Shape front, shape;
  int64_t m = 1, n = 1, k = 1;
  for (size_t i = 0; i < batch.size(); ++i) front.push_back(a.shape()[i]);
  shape = front;
  for (size_t i = 0; i < left.size(); ++i) {
    shape.push_back(a.shape()[batch.size() + i]);
    m = product_of_sizes(m, shape.back(), "einsum");
  }
  for (size_t i = 0; i < inner.size(); ++i)
    k = product_of_sizes(k, b.shape()[batch.size() + i], "einsum");
  for (size_t i = 0; i < right.size(); ++i) {
    shape.push_back(b.shape()[batch.size() + inner.size() + i]);
    n = product_of_sizes(n, shape.back(), "einsum");
  }
  Shape rows = front, columns = front;
  rows.push_back(m);
  rows.push_back(k);
  columns.push_back(k);
  columns.push_back(n);
  const array made = matmul(reshape(a, rows, s), reshape(b, columns, s), s);
  return {reshape(made, shape, s), joined({&batch, &left, &right})};
}

// What is still needed beside the places of a step: the output and all other operands.
Labels needed(const std::vector<Factor>& list, const Shape& step, const Axes& output) {
  Labels out = set_of(output);
  for (size_t i = 0; i < list.size(); ++i)
    if (std::find(step.begin(), step.end(), int64_t(i)) == step.end())
      out |= set_of(list[i].labels);
  return out;
}
template <class T>
void remove(std::vector<T>& list, Shape places) {
  std::sort(places.begin(), places.end());
  for (size_t i = places.size(); i-- > 0;) list.erase(list.begin() + places[i]);
}

}  // namespace

array einsum(const std::string& subscripts, const std::vector<array>& operands,
             const EinsumOrder& order, Stream s) {
  const Terms t = parse(subscripts, operands, "einsum");
  Dtype type = operands[0].dtype();
  for (const array& a : operands) type = promote(type, a.dtype());
  std::vector<Factor> list;
  for (size_t k = 0; k < operands.size(); ++k)
    list.push_back(prepared(astype(operands[k], type, s), t.inputs[k], s));
  for (size_t k = 0; k < list.size(); ++k)
    list[k] = only(list[k], needed(list, {int64_t(k)}, t.output), s);
  for (const Shape& step : steps_of(t, order, "einsum")) {
    Factor made = list[size_t(step[0])];
    for (size_t i = 1; i < step.size(); ++i) {
      const Shape rest(step.begin(), step.begin() + i + 1);
      made = product(made, list[size_t(step[i])], needed(list, rest, t.output), t.output, s);
    }
    remove(list, step);
    list.push_back(std::move(made));
  }
  Axes order_of_output;
  Shape shape;
  for (int l : t.output) {
    shape.push_back(t.sizes[l]);
    if (has(list[0].labels, l)) order_of_output.push_back(l);
  }
  return reshape(in_order(list[0], order_of_output, s), shape, s);
}

EinsumPath einsum_path(const std::string& subscripts, const std::vector<array>& operands,
                       const EinsumOrder& order) {
  const Terms t = parse(subscripts, operands, "einsum_path");
  EinsumPath out{steps_of(t, order, "einsum_path"), {}};
  // Multiplications and additions, as one sum over all subscripts and by the steps.
  struct Cost {
    size_t scaling = 0;
    double flops = 0;
  };
  const auto cost = [&](const Labels& all, const Labels& result, size_t terms) {
    const bool sums = (all & ~result).any();
    return Cost{all.count(),
                t.volume(all) * double((terms > 1 ? terms - 1 : 1) + (terms > 1 && sums))};
  };
  std::vector<Labels> list;
  Labels all;
  for (const Axes& labels : t.inputs) {
    list.push_back(set_of(labels));
    all |= list.back();
  }
  const Labels result = set_of(t.output);
  const Cost naive = cost(all, result, list.size());
  Cost steps;
  double largest = 0;
  for (const Shape& step : out.steps) {
    Labels made, rest = result;
    for (int64_t i : step) made |= list[size_t(i)];
    remove(list, step);
    for (const Labels& other : list) rest |= other;
    const Cost one = cost(made, made & rest, step.size());
    steps = {std::max(steps.scaling, one.scaling), steps.flops + one.flops};
    list.push_back(made & rest);
    largest = std::max(largest, t.volume(list.back()));
  }
  std::ostringstream text;
  text << "  Complete contraction:  " << subscripts << "\n         Naive scaling:  "
       << naive.scaling << "\n     Optimized scaling:  " << steps.scaling
       << "\n      Naive FLOP count:  " << naive.flops
       << "\n  Optimized FLOP count:  " << steps.flops
       << "\n  Largest intermediate:  " << largest << " elements\n";
  out.text = text.str();
  return out;
}

}  // namespace lazulite
