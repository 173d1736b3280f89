#include "loopback.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 16, FIRST_PORT = 20000, SLOTS = 600, SLOT = 20 };

/* -1: somebody listens there; 0 is any port. */
static int listen_at(int port)
{
    const int yes = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

int loopback_listen(int *ret_port)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    int fd = listen_at(0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* Not one of those that the kernel gives to outgoing connections, which could take it before its use; each
 * process has its own. */
int loopback_free_port(void)
{
    static int next;
    int first = FIRST_PORT + getpid() % SLOTS * SLOT;
    for (int tries = 0; tries < SLOT; tries++) {
        int port = first + next++ % SLOT;
        int fd = listen_at(port);
        if (fd < 0)
            continue;
        close(fd);
        return port;
    }
    ck_abort_msg("no port of %d to %d is free", first, first + SLOT - 1);
    return -1;
}

static int dial(const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, address, len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int loopback_dial(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    return dial((struct sockaddr *)&address, sizeof(address));
}

static bool has_v6(void)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

bool loopback_answers_both(int port)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6,
                                    .sin6_port = htons((uint16_t)port),
                                    .sin6_addr = in6addr_loopback };
    int v4 = loopback_dial(port);
    int v6 = has_v6() ? dial((struct sockaddr *)&address, sizeof(address)) : v4;
    bool both = v4 >= 0 && v6 >= 0;
    if (v6 >= 0 && v6 != v4)
        close(v6);
    if (v4 >= 0)
        close(v4);
    return both;
}
