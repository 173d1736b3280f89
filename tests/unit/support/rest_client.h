#pragma once
/* Requests of a test to a REST server that runs on the same loop. */
#include "http/http.h"
#include "loop/loop.h"

struct rest_client {
    struct loop *loop;
    struct http *http;
    int port;
    bool done; /* of the last request */
    int status;
    char body[8192];
};

/* "POST /restart", with a body or NULL. The handle is the caller's. */
struct http_call *rest_start(struct rest_client *client, const char *request, const char *body);
/* Runs the loop until it is answered; fails the test after 30 s. */
void rest_wait(struct rest_client *client);
/* Both, and the answer must be this one; `text` NULL: any. */
void rest_expect(struct rest_client *client, const char *request, const char *body, int status,
                 const char *text);
