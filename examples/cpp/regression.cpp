// Fits y = w x + b by gradient descent: lazy arrays, grad, and what would run, printed.
#include <lazulite.h>

#include <cstdio>
#include <vector>

namespace mx = lazulite;
using mx::array;

int main() {
  std::vector<float> points;
  for (int i = 0; i < 1000; ++i) points.push_back(float(i) / 500 - 1);
  const array x(points, {1000});
  const array y = x * 3 + 0.5 + mx::sin(x * 40) * 0.1;  // a line, and something that no line fits

  auto loss = [&](const mx::ArrayList& p) -> mx::ArrayList {
    return {mx::mean(mx::square(x * p[0] + p[1] - y), {0})};
  };
  mx::ArrayList p{array(0.0f), array(0.0f)};
  for (int step = 0; step <= 200; ++step) {
    if (step % 50 == 0)
      std::printf("step %3d  loss %.5f\n", step, double(loss(p)[0].item<float>()));
    const mx::ArrayList g = mx::grad(loss, p);
    for (int i = 0; i < 2; ++i) p[i] = p[i] - g[i] * 0.5;
    mx::eval(p);
  }
  std::printf("w = %.3f, b = %.3f\n", double(p[0].item<float>()), double(p[1].item<float>()));
  std::printf("what one loss runs:\n%s\n", mx::plan(loss(p)).print().c_str());
  return p[0].item<float>() > 2.9f && p[0].item<float>() < 3.1f ? 0 : 1;
}
