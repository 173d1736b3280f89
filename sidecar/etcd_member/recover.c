/* E4: a person's order to make the quorum anew from this node's data. Nothing is done unless every
 * check holds; the facts are in the answer, for pgvigilctl and the person behind it. */
#include <inttypes.h>

#include "base/log.h"
#include "json/json.h"
#include "sidecar/etcd_member/membership_internal.h"

/* Another member whose data may be as good as ours, or better; NULL. */
static const struct member_peer *rival(const struct member_view *view)
{
    for (size_t at = 0; at < view->n; at++) {
        const struct member_peer *peer = &view->peers[at];
        if (at != view->self && peer->answered && (peer->word.data || peer->word.running))
            return peer;
    }
    return NULL;
}

/* Why the order is refused; false: it is not. */
static bool refuse(const struct member_view *view, bool force, struct text *why)
{
    const struct member_word *us = &view->peers[view->self].word;
    bool foreign = !us->data && us->cluster_id != 0 && us->cluster_id != view->list.cluster_id;
    if (view->list.fresh && !foreign)
        text_add(why, "there is a quorum: nothing is to be recovered");
    else if (!view->guard.connected || !view->disk_known)
        text_add(why, "this node does not know its own state yet: try again");
    else if (!force && !view->list.fresh && rival(view) != NULL)
        text_addf(why,
                  "%s answers and has data of etcd: start its etcd and two of three suffice; or "
                  "order it there",
                  rival(view)->name);
    return why->len > 0;
}

static void add_member(struct text *to, const struct member_view *view, size_t at)
{
    const struct member_peer *peer = &view->peers[at];
    bool answered = at == view->self || peer->answered;
    text_add(to, at > 0 ? ", {\"name\": " : "{\"name\": ");
    json_write_string(to, peer->name);
    text_addf(to, ", \"answered\": %s", answered ? "true" : "false");
    if (answered)
        text_addf(to,
                  ", \"data\": %s, \"pgdata\": %s, \"mark\": %s, \"running\": %s, "
                  "\"generation\": %" PRId64,
                  peer->word.data ? "true" : "false", peer->word.pgdata ? "true" : "false",
                  peer->word.mark ? "true" : "false", peer->word.running ? "true" : "false",
                  peer->word.generation);
    text_add(to, "}");
}

int membership_recover(struct membership *membership, struct membership_recover order,
                       struct text *ret_body)
{
    const struct member_view *view = &membership->view;
    struct text why = text_new(LIMIT_REASON);
    bool refused = refuse(view, order.force, &why);
    bool begun = !refused && !order.only_check;
    text_add(ret_body, "{\"node\": ");
    json_write_string(ret_body, view->peers[view->self].name);
    text_addf(ret_body, ", \"quorum\": %s, \"begun\": %s, \"refused\": ",
              view->list.fresh ? "true" : "false", begun ? "true" : "false");
    if (refused)
        json_write_string(ret_body, text_str(&why));
    else
        text_add(ret_body, "null");
    text_add(ret_body, ", \"members\": [");
    for (size_t at = 0; at < view->n; at++)
        add_member(ret_body, view, at);
    text_add(ret_body, "]}");
    text_done(&why);
    if (begun) {
        log_warn("etcd-member: a person ordered a new quorum -> this member becomes the only one");
        membership->recovery.wanted = true;
        membership_soon(membership);
    }
    return refused ? (order.only_check ? 200 : 409) : (begun ? 202 : 200);
}
