#include "loopback.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 16 };

static struct sockaddr_in v4_at(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int port_of(int fd)
{
    struct sockaddr_in6 address; /* its port is where sockaddr_in has it */
    socklen_t len = sizeof(address);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin6_port);
}

int loopback_listen(int *ret_port)
{
    struct sockaddr_in address = v4_at(0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, BACKLOG), 0);
    *ret_port = port_of(fd);
    return fd;
}

static int bind_any_port(const struct sockaddr *address, socklen_t len)
{
    const int yes = 1, no = 0;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (address->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    return fd < 0 || bind(fd, address, len) == 0 ? fd : -1;
}

/* Bound, never listening, left open: the kernel gives this port to nobody else who wants any port, be it
 * for an outgoing connection, while a server that names it and says SO_REUSEADDR gets it. At every
 * address of both families, wherever that server listens. */
int loopback_free_port(void)
{
    const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any };
    const struct sockaddr_in v4 = { .sin_family = AF_INET };
    int fd = bind_any_port((const struct sockaddr *)&v6, sizeof(v6));
    if (fd < 0) /* a machine without IPv6 */
        fd = bind_any_port((const struct sockaddr *)&v4, sizeof(v4));
    ck_assert_int_ge(fd, 0);
    return port_of(fd);
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
    struct sockaddr_in address = v4_at(port);
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
