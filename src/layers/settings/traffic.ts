/**
 * Settings: how long requests wait, how large they may be, and how failures are handled.
 *
 * @since 0.1.0
 */
import * as Kinds from "./kinds.ts"
import * as Structured from "./structured.ts"
import type { Admin, Failures, Queues, Sharing, Sizes, Table, Times } from "./values.ts"
import { variable } from "./variable.ts"

/** @internal */
export const queues: Table<Queues> = {
  queueCapacity: variable("LLAMERO_QUEUE_CAPACITY", "Requests waiting for one model", Kinds.atLeast(0), "128"),
  queueBytes: variable("LLAMERO_QUEUE_BYTES", "Bytes of waiting bodies, over all models", Kinds.size, "256MiB"),
  queueMillis: variable(
    "LLAMERO_QUEUE_DEADLINE",
    "Longest wait in a queue; time in which the model is loading does not count",
    Kinds.duration,
    "30s",
  ),
  tenantHeader: variable(
    "LLAMERO_TENANT_HEADER",
    "Header that names the tenant, so that tenants share fairly; a proxy in front must set it",
    Kinds.header,
    "",
  ),
  tenantWeights: variable(
    "LLAMERO_TENANT_WEIGHTS",
    "Shares of tenants, such as team-a=3; 1 for all others",
    Structured.shares,
    "",
  ),
}

/** @internal */
export const admin: Table<Admin> = {
  adminToken: variable(
    "LLAMERO_ADMIN_TOKEN",
    "Bearer token of /admin/* and of the status page /ui; without it both are off",
    Kinds.secret,
    "",
  ),
  decisions: variable(
    "LLAMERO_DECISIONS",
    "Number of last requests that /admin/decisions and /ui show, each with its attempts; 0 turns it off",
    Kinds.between(0, 100_000),
    "200",
  ),
}

/** @internal */
export const times: Table<Times> = {
  connectMillis: variable(
    "LLAMERO_CONNECT_TIMEOUT",
    "Longest wait for a connection to a backend",
    Kinds.duration,
    "5s",
  ),
  writeMillis: variable(
    "LLAMERO_WRITE_TIMEOUT",
    "Longest wait for a backend to take more of a request's body",
    Kinds.duration,
    "10s",
  ),
  firstByteMillis: variable(
    "LLAMERO_FIRST_BYTE_TIMEOUT",
    "Longest wait for the first byte of a stream",
    Kinds.duration,
    "120s",
  ),
  gapMillis: variable("LLAMERO_GAP_TIMEOUT", "Longest time between two chunks of a stream", Kinds.duration, "120s"),
  answerMillis: variable(
    "LLAMERO_ANSWER_TIMEOUT",
    "Longest wait for an answer that does not stream",
    Kinds.duration,
    "10m",
  ),
  totalMillis: variable("LLAMERO_TOTAL_TIMEOUT", "Longest time for a whole answer", Kinds.optionalDuration, "off"),
  heartbeatMillis: variable("LLAMERO_HEARTBEAT", "Silence before a stream gets a heartbeat", Kinds.duration, "15s"),
  stallMillis: variable("LLAMERO_STALL_TIMEOUT", "Longest wait for a client that does not read", Kinds.duration, "60s"),
  loadMillis: variable("LLAMERO_LOAD_TIMEOUT", "Longest time for the load of a model", Kinds.duration, "300s"),
}

/** @internal */
export const sizes: Table<Sizes> = {
  bodyLimit: variable("LLAMERO_BODY_LIMIT", "Largest request body", Kinds.size, "64MiB"),
  headLimit: variable(
    "LLAMERO_HEAD_LIMIT",
    "Largest head of a request, and of an answer of a backend: its target or status, and its headers",
    Kinds.size,
    "1MiB",
  ),
  bufferBytes: variable(
    "LLAMERO_BUFFER_BYTES",
    "Bytes held for all clients that read slowly; above it the router disconnects those with the most bytes",
    Kinds.size,
    "256MiB",
  ),
  drainMillis: variable(
    "LLAMERO_DRAIN_TIMEOUT",
    "Longest time for running streams to finish after SIGTERM",
    Kinds.duration,
    "30s",
  ),
}

/** @internal */
export const failures: Table<Failures> = {
  attemptsMax: variable("LLAMERO_ATTEMPTS", "Attempts for one request, the first included", Kinds.atLeast(1), "3"),
  retryRatio: variable("LLAMERO_RETRY_RATIO", "Retries that each request adds to the budget", Kinds.ratio, "0.2"),
  retryPerSecond: variable(
    "LLAMERO_RETRY_PER_SECOND",
    "Retries that each second adds to the budget",
    Kinds.ratio,
    "10",
  ),
  hedge: variable(
    "LLAMERO_HEDGE",
    "Whether a request with a late first byte is also sent to a second backend that has the model in memory",
    Kinds.onOff,
    "off",
  ),
  breakerFailures: variable(
    "LLAMERO_BREAKER_FAILURES",
    "Number of failures in a row that open a breaker",
    Kinds.atLeast(1),
    "5",
  ),
  breakerOpenMillis: variable("LLAMERO_BREAKER_OPEN", "How long a breaker stays open at first", Kinds.duration, "30s"),
  breakerOpenMaxMillis: variable(
    "LLAMERO_BREAKER_OPEN_MAX",
    "How long a breaker stays open at most; the time doubles",
    Kinds.duration,
    "5m",
  ),
  redisUrl: variable(
    "LLAMERO_REDIS_URL",
    "The Redis through which replicas share breakers and rate limits",
    Kinds.redisUrl,
    "",
    "",
  ),
  healthMillis: variable("LLAMERO_HEALTH_INTERVAL", "Time between two probes of a backend", Kinds.duration, "5s"),
  healthTimeoutMillis: variable("LLAMERO_HEALTH_TIMEOUT", "Longest time for one probe", Kinds.duration, "5s"),
}

/** @internal */
export const sharing: Table<Sharing> = {
  coalesce: variable(
    "LLAMERO_COALESCE",
    "Whether identical deterministic requests in flight share one call",
    Kinds.onOff,
    "on",
  ),
  batchInputs: variable(
    "LLAMERO_EMBED_BATCH",
    "Queued embedding inputs that are sent in one call; 1 for no batches",
    Kinds.atLeast(1),
    "64",
  ),
}
