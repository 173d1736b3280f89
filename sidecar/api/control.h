#pragma once
/* Has moved to sidecar/control.h, which every folder may see. */
#include "sidecar/control.h"
