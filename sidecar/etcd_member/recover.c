/* E4: a person's order to make the quorum anew from this node's data. Nothing is done unless every
 * check holds; the facts are in the answer, for pgvigilctl and the person behind it. */
#include <inttypes.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "sidecar/etcd_member/membership_internal.h"
#include "json/json.h"

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

/* Why the order is refused; nothing when it is not. */
static void refuse(const struct member_view *view, bool force, struct text *why)
{
    const struct member_word *us = &view->peers[view->self].word;
    bool ours = view->me.answers && view->me.leader != 0;
    bool joins = view->list.fresh && !us->data &&
                 (us->cluster_id == 0 || us->cluster_id == view->list.cluster_id);
    if (ours)
        text_add(why, "there is a quorum with this member in it: nothing is to be recovered");
    else if (joins)
        text_add(why, "there is a quorum, and this member joins it by itself");
    else if (!view->guard.connected || !view->disk_known)
        text_add(why, "this node does not know its own state yet: try again");
    else if (!force && !view->list.fresh && rival(view) != NULL)
        text_addf(why,
                  "%s answers and has data of etcd: with it there may be a quorum again; stop its "
                  "node first, or say force",
                  rival(view)->name);
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

static void add_facts(struct text *to, const struct member_view *view, const struct text *why)
{
    text_add(to, "{\"node\": ");
    json_write_string(to, view->peers[view->self].name);
    text_addf(to, ", \"quorum\": %s, \"refused\": ", view->list.fresh ? "true" : "false");
    if (why->len > 0)
        json_write_string(to, text_str(why));
    else
        text_add(to, "null");
    text_add(to, ", \"members\": [");
    for (size_t at = 0; at < view->n; at++)
        add_member(to, view, at);
    text_add(to, "]}");
}

int membership_recover(struct membership *membership, struct membership_recover order,
                       struct text *ret_body)
{
    const struct member_view *view = &membership->view;
    auto_text struct text why = text_new(LIMIT_LOG_LINE);
    if (order.member != NULL && strcmp(order.member, view->peers[view->self].name) != 0) {
        text_addf(ret_body, "this is %s, not %s", view->peers[view->self].name, order.member);
        return 400;
    }
    refuse(view, order.force, &why);
    if (order.only_check) {
        add_facts(ret_body, view, &why);
        return 200;
    }
    if (why.len > 0) {
        text_add(ret_body, text_str(&why));
        return 409;
    }
    bool joins = view->list.fresh;
    text_add(ret_body, joins ? "what it had is set aside, it joins the others as a learner"
                             : "etcd starts again as the only member");
    log_warn("etcd-member: a person ordered recovery -> %s", text_str(ret_body));
    membership->recovery.wanted = true;
    membership_soon(membership);
    return 202;
}
