# pgvigil's images. The stages, in the order in which they are built:
#
#   base        Debian 13 and what all images agree on
#   dev         toolchain and everything that the tests need; `make` runs itself in it
#   postgres    PostgreSQL 17, nothing of ours
#   etcd        etcd and etcdctl, nothing of ours
#   runtime     the shared libraries of our programs
#   node-base   one node of demo and tests without our programs: PostgreSQL (17; PG=15: Debian 12's) and etcd
#   build       compiles the tree
#   sidecar     our programs and their libraries; no PostgreSQL
#   node        node-base and our programs
#   controller  the controller and its libraries
#
# Plain Dockerfile syntax throughout: an engine of 2020 without BuildKit builds
# it. Such an engine builds all stages before the wanted one, hence the order:
# the sources come in last, after everything that only changes with a package list.

FROM debian:trixie-slim AS base
ENV LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive
RUN printf 'APT::Install-Recommends "false";\nAPT::Install-Suggests "false";\nAcquire::Retries "3";\n' \
        >/etc/apt/apt.conf.d/90pgvigil \
    && groupadd --system --gid 999 postgres \
    && useradd --system --uid 999 --gid 999 --home-dir /var/lib/postgresql --shell /bin/bash postgres \
    && mkdir -p /etc/postgresql-common \
    && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf

FROM base AS dev
RUN apt-get update \
    && apt-get install -y \
        gcc clang clang-tidy clang-format make musl-tools pkg-config libc6-dev \
        libcurl4-openssl-dev libssl-dev libjansson-dev libpq-dev libwebsockets-dev libuv1-dev libyaml-dev \
        libwebsockets-evlib-uv check \
        libclang-rt-19-dev gdb valgrind strace shellcheck git curl jq xxd file time openssl ca-certificates \
        python3 python3-psycopg2 python3-yaml python3-requests python3-etcd \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
RUN apt-get update \
    && apt-get install -y -o Dpkg::Options::=--force-confold \
        postgresql-17 postgresql-client-17 \
        etcd-server etcd-client patroni haproxy promtool \
        docker-cli nftables iproute2 iputils-ping tcpdump lsof wrk procps psmisc util-linux \
        busybox-static systemd \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
# Tools of Patroni's users: they must work unchanged.
RUN apt-get update \
    && apt-get install -y check-patroni vip-manager2 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
# What was compiled once with the same flags is not compiled again (Makefile, CCACHE).
RUN apt-get update \
    && apt-get install -y ccache \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
# The tree is mounted and belongs to whoever checked it out.
RUN git config --system --add safe.directory '*'
ENV PATH=/usr/lib/postgresql/17/bin:$PATH PGVIGIL_DEV=1
WORKDIR /src

FROM base AS postgres
RUN apt-get update \
    && apt-get install -y -o Dpkg::Options::=--force-confold postgresql-17 ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data
ENV PATH=/usr/lib/postgresql/17/bin:$PATH PGDATA=/var/lib/postgresql/data/pgdata
USER postgres
WORKDIR /var/lib/postgresql
EXPOSE 5432
# As in the official image: a fast shutdown.
STOPSIGNAL SIGINT
CMD ["postgres"]

FROM base AS etcd
RUN apt-get update \
    && apt-get install -y etcd-server etcd-client ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && install -d -o postgres -g postgres -m 0700 /var/lib/etcd
USER postgres
EXPOSE 2379 2380
CMD ["etcd", "--data-dir", "/var/lib/etcd/data"]

FROM base AS runtime
RUN apt-get update \
    && apt-get install -y \
        libuv1t64 libcurl4t64 libwebsockets19t64 libwebsockets-evlib-uv libjansson4 libpq5 libyaml-0-2 \
        libssl3t64 ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM runtime AS node-base
ARG PG=17
# Another one than Debian 13's is Debian 12's: its packages and the libraries of theirs that Debian 13 lacks.
RUN for list in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do \
        [ "$PG" = 17 ] || [ ! -s "$list" ] || sed s/trixie/bookworm/g "$list" >"/etc/apt/sources.list.d/debian12.${list##*.}"; \
    done
RUN apt-get update \
    && apt-get install -y -o Dpkg::Options::=--force-confold \
        "postgresql-$PG" etcd-server etcd-client \
        openssl procps psmisc iproute2 iputils-ping nftables curl \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && install -d -o postgres -g postgres -m 0755 /etc/pgvigil /run/pgvigil \
    && install -d -o postgres -g postgres -m 0700 /var/lib/pgvigil
ENV PATH=/usr/lib/postgresql/$PG/bin:$PATH
USER postgres
WORKDIR /var/lib/pgvigil
EXPOSE 5432 8008 2379 2380
STOPSIGNAL SIGTERM
ENTRYPOINT ["pgvigil-guard", "--supervise", "--"]
CMD ["pgvigil-sidecar", "/etc/pgvigil/pgvigil.yml"]

FROM dev AS build
COPY . /src
RUN make -j"$(nproc)" all && make install DESTDIR=/install PREFIX=/usr/local

FROM runtime AS sidecar
COPY --from=build /install/usr/local/bin/ /usr/local/bin/
USER postgres
EXPOSE 8008
ENTRYPOINT ["pgvigil-sidecar"]
CMD ["/etc/pgvigil/pgvigil.yml"]

FROM node-base AS node
COPY --from=build /install/usr/local/bin/ /usr/local/bin/

FROM runtime AS controller
COPY --from=build /install/usr/local/bin/pgvigil-controller /usr/local/bin/
USER postgres
EXPOSE 8008
ENTRYPOINT ["pgvigil-controller"]
