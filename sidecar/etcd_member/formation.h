#pragma once
/* The JSON of GET /pgvigil/etcd (E1): what one member's sidecar says to the others. No secret is in
 * it. Pure. */
#include "base/err.h"
#include "base/text.h"
#include "sidecar/etcd_member/member_core.h"

enum { FORMATION_MAX = 3072 };

/* `says`: what the sidecar waits for or does, in words. */
void formation_write(struct text *to, const char *name, const struct member_word *word,
                     const char *says);
/* Before the disk was looked at: nothing that anybody could count on. */
void formation_write_starting(struct text *to, const char *name);

/* Errors: ERR_PROTOCOL; also for somebody who has not looked at its disk yet, and for another name
 * than the one that is expected at this address. */
enum err_code formation_parse(const char *body, size_t len, const char *name,
                              struct member_word *ret_word, struct err *err);

/* Whom etcd has received how many bytes from, and who is connected, out of its /metrics. */
struct heard_sample {
    uint64_t id;
    bool connected;
    double bytes;
};
size_t heard_parse(const char *metrics, struct heard_sample *ret_samples, size_t max);
