#pragma once
/* What clients take for Patroni's version: dotted integers, at least 4.0 (patroni-compat, trap 9); in the
 * member key and in REST alike. */
#define PATRONI_VERSION "4.1.4"
