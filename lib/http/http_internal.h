#pragma once
/* What the files of lib/http share; nobody else includes it. */
#include <curl/curl.h>

#include "http/http.h"

/* Sets the certificates of a request; curl copies them. */
void http_tls_apply(const struct http_tls *tls, CURL *easy);
