"""Random specs that keep every rule."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from streamqueue.api.spec import (
    Backoff,
    Body,
    Delivery,
    Handler,
    Next,
    Protocol,
    QueueSpec,
    Reclaim,
    Redis,
    RedisAuth,
    RedisMode,
    Requeue,
    Retention,
    RetentionPolicy,
    ScaleDown,
    ScaleUp,
    Scaling,
    SecretKey,
    TargetBacklog,
    TargetWait,
)


def _seconds(least: float, most: float) -> st.SearchStrategy[float]:
    return st.integers(round(least * 1000), round(most * 1000)).map(lambda milliseconds: milliseconds / 1000)


_names = st.text(alphabet="abz019:._- ~$(){}é", min_size=1, max_size=20)
_streams = st.text(alphabet="abz019:._- $()é", min_size=1, max_size=20)
_steps = st.none() | st.integers(1, 10_000)


@st.composite
def _scalings(draw: st.DrawFn, handler: Handler) -> Scaling:
    most = draw(st.integers(1, 10_000))
    backlog = draw(st.none() | st.integers(1, 1_000_000))
    return Scaling(
        min_replicas=draw(st.integers(0, most)),
        max_replicas=most,
        target=TargetWait(draw(_seconds(1, 86_400))) if backlog is None else TargetBacklog(backlog),
        replicas=draw(st.none() | st.integers(0, most)),
        paused=draw(st.booleans()),
        polling_interval=draw(_seconds(0.2, 60)),
        scale_down=ScaleDown(ScaleDown().delay if backlog is None else draw(_seconds(0, 3600)), draw(_steps)),
        scale_up=ScaleUp(draw(_steps)),
        concurrency=handler.concurrency,
        cordons=handler.protocol is not Protocol.REDIS,
    )


_retentions = st.just(Retention()) | st.builds(
    lambda limits: Retention(RetentionPolicy.ACKNOWLEDGED, *limits),
    st.tuples(st.none() | _seconds(1, 315_360_000), st.none() | st.integers(1, 10**9)).filter(any),
)


_redises = st.sampled_from(
    [
        Redis(url="redis://r:1/0"),
        Redis(url="redis+sentinel://a:1,b:2/name/0", mode=RedisMode.SENTINEL),
        Redis(url="rediss://r", mode=RedisMode.CLUSTER, ca_secret_ref=SecretKey("ca", "pem"), auth=RedisAuth.ENTRA),
        Redis(secret_ref=SecretKey("redis", "url"), mode=RedisMode.STANDALONE),
    ]
)


@st.composite
def _backoffs(draw: st.DrawFn) -> Backoff:
    longest = draw(_seconds(0.01, 86_400))
    return Backoff(draw(_seconds(0.01, longest)), longest)


@st.composite
def _handlers(draw: st.DrawFn) -> Handler:
    common = Handler(image=draw(_names), concurrency=draw(st.integers(1, 1000)), timeout=draw(_seconds(0.1, 600)))
    if draw(st.booleans()):
        plain = replace(common, batch=draw(st.integers(1, 100)))
        port = draw(st.none() | st.integers(1024, 65_535))
        sdk = replace(plain, protocol=Protocol.SDK)
        processes = draw(st.integers(1, min(256, common.concurrency)))
        return draw(st.sampled_from([plain, replace(sdk, metrics_port=port, processes=processes)]))
    return replace(
        common,
        protocol=Protocol.HTTP,
        port=draw(st.integers(1, 65_535)),
        path=draw(st.sampled_from(["/", "/tasks", "/a?b=%20"])),
        body=draw(st.none() | st.builds(Body, _names, st.sampled_from(["application/json", "image/png; a=b"]))),
    )


@st.composite
def specs(draw: st.DrawFn) -> QueueSpec:
    handler = draw(_handlers())
    stream = draw(_streams)
    redis = draw(_redises)
    followings = st.builds(Next, _streams, st.none() | _redises)
    following = followings.filter(lambda each: each.stream != stream or each.redis not in (None, redis))
    return QueueSpec(
        redis=redis,
        stream=stream,
        group=draw(_names),
        handler=handler,
        start_from=draw(st.sampled_from(["0", "$", "5-1"])),
        delivery=Delivery(
            draw(_seconds(max(1, 2 * handler.timeout * handler.batch), 604_800)),
            draw(st.integers(1, 1000)),
            draw(st.integers(1, 10_000_000)),
            draw(_backoffs()),
            draw(st.sampled_from(Requeue)) if handler.protocol is Protocol.REDIS else Requeue.SINGLE_GROUP,
        ),
        results_ttl=draw(st.none() | _seconds(1, 31_536_000)),
        reclaim=Reclaim(
            draw(st.sampled_from([None, "*/7 1-5 * jan mon,fri"])), draw(_seconds(60, 31_536_000)), draw(st.booleans())
        ),
        retention=draw(_retentions),
        next=None if handler.protocol is Protocol.REDIS else draw(st.none() | following),
        scaling=draw(_scalings(handler)),
        template=draw(st.sampled_from([{}, {"spec": {"nodeSelector": {"disk": "ssd"}}}])),
    )
