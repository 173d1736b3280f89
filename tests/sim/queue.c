#include "tests/sim/queue.h"

#include <stdio.h>
#include <stdlib.h>

void queue_init(struct queue *queue)
{
    queue->n = 0;
    queue->seq = 0;
    queue->n_free = QUEUE_MAX;
    for (uint32_t i = 0; i < QUEUE_MAX; i++)
        queue->free_slots[i] = QUEUE_MAX - 1 - i;
}

static bool before(const struct queue *queue, size_t a, size_t b)
{
    if (queue->heap[a].at_us != queue->heap[b].at_us)
        return queue->heap[a].at_us < queue->heap[b].at_us;
    return queue->heap[a].seq < queue->heap[b].seq;
}

static void swap(struct queue *queue, size_t a, size_t b)
{
    __auto_type held = queue->heap[a];
    queue->heap[a] = queue->heap[b];
    queue->heap[b] = held;
}

void queue_add(struct queue *queue, const struct event *event)
{
    if (queue->n_free == 0) {
        (void)fprintf(stderr, "simulation: too many events\n");
        abort();
    }
    uint32_t slot = queue->free_slots[--queue->n_free];
    size_t at = queue->n++;
    queue->slots[slot] = *event;
    queue->slots[slot].seq = queue->seq;
    queue->heap[at].at_us = event->at_us;
    queue->heap[at].seq = queue->seq++;
    queue->heap[at].slot = slot;
    while (at > 0 && before(queue, at, (at - 1) / 2)) {
        swap(queue, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void sink(struct queue *queue)
{
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < queue->n; child++)
            if (before(queue, child, least))
                least = child;
        if (least == at)
            return;
        swap(queue, at, least);
        at = least;
    }
}

bool queue_take(struct queue *queue, struct event *ret_event)
{
    if (queue->n == 0)
        return false;
    uint32_t slot = queue->heap[0].slot;
    *ret_event = queue->slots[slot];
    queue->free_slots[queue->n_free++] = slot;
    queue->heap[0] = queue->heap[--queue->n];
    sink(queue);
    return true;
}
