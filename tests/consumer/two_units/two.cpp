// Every header, in the second unit.
#include "all_headers.hpp"

int two();
int two() { return 0; }
