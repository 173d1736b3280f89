#pragma once
/* What will happen: events in the order of their time, then of their creation. Nothing is allocated
 * while the simulation runs. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;
struct event;
typedef void event_fn(struct sim *sim, const struct event *event);

/* Somebody whom an event reaches only while he lives, and later when he stands still. */
enum proc { PROC_SIDECAR, PROC_GUARD, PROC_POSTGRES, PROC_ETCD, PROC_MAX };

enum { EVENT_ARGS = 4, QUEUE_MAX = 8192, HOST_NONE = -1 };

struct event {
    int64_t at_us; /* true time */
    uint64_t seq;
    event_fn *fn;
    int host; /* HOST_NONE: of nobody, always delivered */
    enum proc proc;
    uint32_t epoch; /* of that process when the event was made */
    int64_t arg[EVENT_ARGS];
};

struct queue {
    size_t n;
    uint64_t seq;
    struct {
        int64_t at_us;
        uint64_t seq;
        uint32_t slot;
    } heap[QUEUE_MAX];
    struct event slots[QUEUE_MAX];
    uint32_t free_slots[QUEUE_MAX];
    size_t n_free;
};

void queue_init(struct queue *queue);
/* Aborts when QUEUE_MAX is reached: a model that breeds events. */
void queue_add(struct queue *queue, const struct event *event);
/* False: nothing is left. */
bool queue_take(struct queue *queue, struct event *ret_event);
