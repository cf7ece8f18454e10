// What an old Thrust in /usr/include says of itself.
#pragma once
#define THRUST_VERSION 101700
