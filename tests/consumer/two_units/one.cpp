// Every header, in the first of two units of one program: nothing may be defined twice.
#include "all_headers.hpp"

int two();
int trapped();

int main() { return two() + trapped(); }
