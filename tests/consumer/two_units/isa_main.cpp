// Three units built for three instruction sets, linked into one program. Where two sets differ, their functions do:
// otherwise the linker would keep one of the two, and an old machine would run into a new machine's instructions.
#include <cmath>
#include <cstdio>
#include <cstring>

char const* isa_of_x86_64();
char const* isa_of_x86_64_v3();
char const* isa_of_native();
void const* function_of_x86_64();
void const* function_of_x86_64_v3();
void const* function_of_native();
double loss_of_x86_64();
double loss_of_x86_64_v3();
double loss_of_native();

int main() {
  struct Unit {
    char const* march;
    char const* isa;
    void const* function;
    double loss;
  };
  Unit const units[] = {
      {"x86-64", isa_of_x86_64(), function_of_x86_64(), loss_of_x86_64()},
      {"x86-64-v3", isa_of_x86_64_v3(), function_of_x86_64_v3(), loss_of_x86_64_v3()},
      {"native", isa_of_native(), function_of_native(), loss_of_native()},
  };
  int wrong = std::strcmp(units[0].isa, units[1].isa) == 0;
  for (Unit const& a : units) {
    std::printf("%-10s %-40s %p loss %.9f\n", a.march, a.isa, a.function, a.loss);
    for (Unit const& b : units) {
      bool const same_set = std::strcmp(a.isa, b.isa) == 0;
      bool const same_function = a.function == b.function;
      bool const same_loss = std::abs(a.loss - b.loss) <= 1e-5 * std::abs(b.loss);
      if (same_set != same_function || !same_loss) wrong = 1;
    }
  }
  return wrong;
}
