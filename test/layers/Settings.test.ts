import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import * as Settings from "../../src/layers/Settings.ts"
import * as StandardProfile from "../../src/plugins/StandardProfile.ts"

const read = (env: Readonly<Record<string, string>>) =>
  Settings.config.parse(ConfigProvider.fromEnv({ env: { PATH: "/bin", LLAMERO: "x", ...env } }))
const complaint = (env: Readonly<Record<string, string>>) => Effect.map(Effect.flip(read(env)), Settings.explain)

describe("Settings", () => {
  it.effect("are the defaults where nothing is set, or set to nothing", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read({}), Settings.defaults)
      assert.deepStrictEqual(yield* read({ LLAMERO_PORT: "", LLAMERO_BACKENDS: " " }), Settings.defaults)
      assert.strictEqual(Settings.defaults.port, 11435)
      assert.strictEqual(Settings.defaults.host, "127.0.0.1")
      assert.strictEqual(Settings.defaults.queueBytes, 256 * 1024 * 1024)
      assert.strictEqual(Settings.defaults.breakerOpenMaxMillis, 300_000)
    }))

  it.effect("are read from the environment", () =>
    Effect.gen(function* () {
      const settings = yield* read({
        LLAMERO_BACKENDS: "http://10.0.0.4:11434, 10.0.0.5,https://gpu.example/ollama/",
        LLAMERO_PORT: "0",
        LLAMERO_QUEUE_DEADLINE: "1m30s",
        LLAMERO_GAP_TIMEOUT: "2 minutes",
        LLAMERO_BODY_LIMIT: "1.5MiB",
        LLAMERO_QUEUE_BYTES: "1000",
        LLAMERO_LOG_LEVEL: "debug",
        LLAMERO_PREWARM: "llama3.1:8b, mistral:7b,",
        LLAMERO_RETRY_RATIO: "0.5",
        LLAMERO_HEDGE: "on",
        LLAMERO_SCORERS: "resident=3, least-busy=1,peak-ewma=2,zone=0.5",
        LLAMERO_PICKER: "Two-Choices",
        LLAMERO_ZONE: "eu-1",
        LLAMERO_SESSION_HEADER: "X-Conversation",
        LLAMERO_ADMIN_TOKEN: "secret",
        LLAMERO_DECISIONS: "100",
      })
      assert.deepStrictEqual(settings, {
        ...Settings.defaults,
        backends: ["http://10.0.0.4:11434", "http://10.0.0.5:11434", "https://gpu.example/ollama"],
        port: 0,
        queueMillis: 90_000,
        gapMillis: 120_000,
        bodyLimit: 1_572_864,
        queueBytes: 1000,
        logLevel: "Debug",
        prewarm: ["llama3.1:8b", "mistral:7b"],
        retryRatio: 0.5,
        hedge: true,
        scorers: [["resident", 3], ["least-busy", 1], ["peak-ewma", 2], ["zone", 0.5]],
        picker: "two-choices",
        zone: "eu-1",
        sessionHeader: "x-conversation",
        adminToken: "secret",
        decisions: 100,
      })
    }))

  const hosts: ReadonlyArray<readonly [string, string]> = [
    ["example.com", "http://example.com:11434"],
    ["example.com:1234", "http://example.com:1234"],
    [":1234", "http://127.0.0.1:1234"],
    ["0.0.0.0", "http://127.0.0.1:11434"],
    ["0.0.0.0:80", "http://127.0.0.1"],
    ["http://0.0.0.0:11434", "http://127.0.0.1:11434"],
    ["http://example.com", "http://example.com"],
    ["https://example.com/", "https://example.com"],
    ["https://example.com/a/b/", "https://example.com/a/b"],
    ["example.com:1234/a", "http://example.com:1234/a"],
    ["::1", "http://[::1]:11434"],
    ["[::1]", "http://[::1]:11434"],
    ["[::]:1234", "http://[::1]:1234"],
    [`"example.com"`, "http://example.com:11434"],
    ["http://me:hunter2@example.com", "http://me:hunter2@example.com"],
    ["https://me:p%40ss%2F@example.com:8443/a/", "https://me:p%40ss%2F@example.com:8443/a"],
    ["me:hunter2@0.0.0.0", "http://me:hunter2@127.0.0.1:11434"],
    ["http://token@[::1]:1", "http://token@[::1]:1"],
  ]
  for (const [given, wanted] of hosts) {
    it.effect(`OLLAMA_HOST=${given}`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* read({ OLLAMA_HOST: given })).ollamaHost, wanted)
      }))
  }

  it.effect("say in one line what is wrong", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* complaint({ LLAMERO_PORT: "70000" }),
        `LLAMERO_PORT="70000": wants a port from 0 to 65535 (0: any free one)`,
      )
      assert.strictEqual(
        yield* complaint({ LLAMERO_GAP_TIMEOUT: "30" }),
        `LLAMERO_GAP_TIMEOUT="30": wants a duration with its unit, such as 500ms, 30s or 5m`,
      )
      for (
        const env of [
          { LLAMERO_BACKENDS: "http://a, ftp://b" },
          { LLAMERO_BACKENDS: "," },
          { LLAMERO_BACKENDS: "http://a:99999" },
          { OLLAMA_HOST: "http://" },
          { OLLAMA_HOST: "a b" },
          { LLAMERO_QUEUE_CAPACITY: "-1" },
          { LLAMERO_PARALLELISM: "0" },
          { LLAMERO_BODY_LIMIT: "64 potatoes" },
          { LLAMERO_LOG_LEVEL: "loud" },
          { LLAMERO_DRAIN_TIMEOUT: "0s" },
          { LLAMERO_PULLS: "llama3*,q*n" },
          { LLAMERO_SCORERS: "resident=3,fastest=1" },
          { LLAMERO_SCORERS: "resident" },
          { LLAMERO_SCORERS: "resident=0" },
          { LLAMERO_SCORERS: "resident=1,resident=2" },
          { LLAMERO_TENANT_WEIGHTS: "a=1,a=2" },
          { LLAMERO_PICKER: "best" },
          { LLAMERO_ZONE: "eu 1" },
          { LLAMERO_SESSION_HEADER: "x session" },
          { LLAMERO_DECISIONS: "1000000" },
          { LLAMERO_PREWARM: "llama3.1:8b mistral:7b" },
          { LLAMERO_ORIGINS: "chat.example" },
          { LLAMERO_HOSTS: "http://gpu.example" },
          { LLAMERO_KEYS_OPEN: "livez" },
          { LLAMERO_HOST: "0.0.0.0:11435" },
          { LLAMERO_AGENTS: "10.0.0.4:11436" },
          { LLAMERO_REDIS_URL: "10.0.0.9:6379" },
          { LLAMERO_PORT: "11435 # the usual one" },
          { LLAMERO_BACKENDS: "http://a:11434 http://b:11434" },
          { LLAMERO_LOCAL_PORT: "0" },
          { LLAMERO_LOCAL_PORT: "0.0.0.0:11434" },
          { LLAMERO_LOCAL_KEY: "two words" },
        ]
      ) {
        const [[name, value]] = Object.entries(env) as [[string, string]]
        assert.isTrue((yield* complaint(env)).startsWith(`${name}=${JSON.stringify(value)}: wants `), name)
      }
    }))

  it.effect("are read without the quotes and blanks that files for containers keep", () =>
    Effect.gen(function* () {
      const settings = yield* read({
        LLAMERO_PORT: ` "8080" `,
        LLAMERO_BACKENDS: `'http://a:11434,http://b:11434'`,
        LLAMERO_PREWARM: `" llama3.1:8b "`,
        LLAMERO_PLUGINS: `'[{"from":"./near.ts"}]'`,
        LLAMERO_KEYS_FILE: `""`,
      })
      assert.deepStrictEqual(settings, {
        ...Settings.defaults,
        port: 8080,
        backends: ["http://a:11434", "http://b:11434"],
        prewarm: ["llama3.1:8b"],
        plugins: [{ from: "./near.ts" }],
      })
    }))

  it.effect("take PORT where LLAMERO_PORT is not set", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* read({ PORT: "8080" })).port, 8080)
      assert.strictEqual((yield* read({ PORT: "8080", LLAMERO_PORT: "9090" })).port, 9090)
      assert.match(yield* complaint({ PORT: "http" }), /^PORT="http": wants a port/)
    }))

  it.effect("show no password of a URL that cannot be read", () =>
    Effect.gen(function* () {
      for (
        const env of [
          { LLAMERO_REDIS_URL: "http://me:hunter2@redis.example" },
          { LLAMERO_BACKENDS: "http://a, ftp://me:hunter2@b" },
          { LLAMERO_BACKENDS: "me:hunter2@b:99999999" },
          { LLAMERO_BACKENDS: "http://me:hunter2/hunter2@b" },
          { LLAMERO_BACKENDS: "http://me:hunter2,hunter2@b" },
          { LLAMERO_BACKENDS: "http://me:hunter2@@b:0" },
          { OLLAMA_HOST: "http://me:hunter2@b:99999" },
          { LLAMERO_BACKENDS: "http://me:hunter2@127.0.0.1:11435" },
          { LLAMERO_AGENTS: "http://me:hunter2@b:1" },
          { LLAMERO_AGENTS: "ws://me:hunter2@b" },
          { LLAMERO_BACKENDS: "http//me:hunter2@b" },
          { LLAMERO_BACKENDS: "http://me:hunter2" },
          { LLAMERO_BACKENDS: "http://me:2hunter2" },
          { LLAMERO_BACKENDS: "http://a:11434,http://me:hunter2" },
          { LLAMERO_REDIS_URL: "redis//:hunter2" },
          { LLAMERO_BACKENDS: "http://me:hunter2@a,http://me:hunter2" },
        ]
      ) {
        const text = yield* complaint(env)
        assert.notInclude(text, "hunter2")
        assert.include(text, "…")
      }
    }))

  it.effect("name a backend that is there twice without its password, whoever its user is", () =>
    Effect.gen(function* () {
      const text = yield* complaint({ LLAMERO_BACKENDS: "http://me:hunter2@a:1,http://you:hunter3@a:1" })
      assert.match(text, /http:\/\/a:1 is there twice/)
      assert.notMatch(text, /hunter/)
    }))

  it.effect("never make the router send requests to itself", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* read({ OLLAMA_HOST: "localhost:11435" })).ollamaHost, "")
      assert.strictEqual((yield* read({ OLLAMA_HOST: "other:11435" })).ollamaHost, "http://other:11435")
      assert.match(yield* complaint({ LLAMERO_BACKENDS: "http://a,:11435" }), /other than this router itself/)
      // Nor to its second listener, for which OLLAMA_HOST is set where the `ollama` command is used.
      const local = { LLAMERO_LOCAL_PORT: "11434", LLAMERO_LOCAL_KEY: "ops", LLAMERO_KEYS_FILE: "keys.json" }
      assert.strictEqual((yield* read({ ...local, OLLAMA_HOST: "127.0.0.1:11434" })).ollamaHost, "")
      assert.strictEqual((yield* read({ ...local, OLLAMA_HOST: "gpu:11434" })).ollamaHost, "http://gpu:11434")
      assert.match(yield* complaint({ ...local, LLAMERO_BACKENDS: "localhost" }), /other than this router itself/)
    }))

  it.effect("must go together", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* complaint({ LLAMERO_ZONE: "eu-1" }),
        `LLAMERO_ZONE="eu-1": wants zone among LLAMERO_SCORERS, such as resident=3,least-busy=1,zone=2`,
      )
      assert.strictEqual(
        yield* complaint({ LLAMERO_BACKENDS: "a,http://a:11434" }),
        "LLAMERO_BACKENDS: wants each backend once, and http://a:11434 is there twice",
      )
      assert.match(yield* complaint({ LLAMERO_BACKENDS: "b,localhost,127.0.0.1:11434" }), /is there twice/)
      assert.match(
        yield* complaint({ LLAMERO_BACKENDS: "a", LLAMERO_FLEET_FILE: "fleet.json" }),
        /^LLAMERO_BACKENDS and LLAMERO_FLEET_FILE both name the backends/,
      )
      assert.match(
        yield* complaint({ LLAMERO_AGENTS: "http://a:1", LLAMERO_VRAM: "on" }),
        /^LLAMERO_AGENTS: wants LLAMERO_AGENT_TOKEN/,
      )
      assert.match(
        yield* complaint({ LLAMERO_BREAKER_OPEN: "10m" }),
        /^LLAMERO_BREAKER_OPEN="600000ms": wants at most LLAMERO_BREAKER_OPEN_MAX, which is 300000ms/,
      )
      assert.match(yield* complaint({ LLAMERO_TENANT_WEIGHTS: "a=2" }), /^LLAMERO_TENANT_WEIGHTS: wants /)
      assert.match(yield* complaint({ LLAMERO_SCORERS: "zone=1" }), /^LLAMERO_ZONE="": wants the router's zone/)
      assert.strictEqual(
        yield* complaint({ LLAMERO_DECISIONS: "10" }),
        `LLAMERO_DECISIONS="10": wants LLAMERO_ADMIN_TOKEN, which /admin/decisions asks for`,
      )
      // What is not asked for is no mistake: without the token the default has no effect.
      assert.deepStrictEqual([(yield* read({})).decisions, (yield* read({ LLAMERO_DECISIONS: "0" })).decisions], [
        200,
        0,
      ])
    }))

  it.effect("open the listener for local clients only with the key that these have", () =>
    Effect.gen(function* () {
      const local = { LLAMERO_LOCAL_PORT: "11434", LLAMERO_LOCAL_KEY: "ops", LLAMERO_KEYS_FILE: "keys.json" }
      const settings = yield* read(local)
      assert.deepStrictEqual([settings.localPort, settings.localKey], [11434, "ops"])
      assert.match(yield* complaint({ ...local, LLAMERO_KEYS_FILE: "" }), /^LLAMERO_KEYS_FILE="": wants a file of keys/)
      assert.match(
        yield* complaint({ ...local, LLAMERO_LOCAL_KEY: "" }),
        /^LLAMERO_LOCAL_KEY="": wants the id of a key/,
      )
      assert.match(yield* complaint({ ...local, LLAMERO_LOCAL_PORT: "" }), /^LLAMERO_LOCAL_PORT="": wants a port/)
      assert.match(
        yield* complaint({ ...local, LLAMERO_PORT: "11434" }),
        /^LLAMERO_LOCAL_PORT="11434": wants another port than LLAMERO_PORT$/,
      )
    }))

  it("have the scorers of the standard profile as their default", () => {
    const { picker, scorers } = StandardProfile.make()
    assert.deepStrictEqual(
      Settings.defaults.scorers.map(([name, weight]) => ({ name: String(name), weight })),
      scorers.map(({ scorer, weight }) => ({ name: scorer.name, weight })),
    )
    assert.strictEqual(Settings.defaults.picker, picker.name)
  })

  it.effect("may have no limit on the whole answer", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* read({})).totalMillis, Infinity)
      assert.strictEqual((yield* read({ LLAMERO_TOTAL_TIMEOUT: "Off" })).totalMillis, Infinity)
      assert.strictEqual((yield* read({ LLAMERO_TOTAL_TIMEOUT: "10m" })).totalMillis, 600_000)
    }))

  it.effect("tell everything that is wrong at once", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* complaint({ LLAMERO_PORT: "http", LLAMERO_ZONE: "eu-1", LLAMERO_GAP_TIMEOUT: "30" }),
        [
          "3 settings are wrong:",
          `LLAMERO_PORT="http": wants a port from 0 to 65535 (0: any free one)`,
          `LLAMERO_GAP_TIMEOUT="30": wants a duration with its unit, such as 500ms, 30s or 5m`,
          `LLAMERO_ZONE="eu-1": wants zone among LLAMERO_SCORERS, such as resident=3,least-busy=1,zone=2`,
        ].join("\n  "),
      )
      // A rule is silent about a setting that cannot be read.
      assert.strictEqual(
        yield* complaint({ LLAMERO_SCORERS: "zone", LLAMERO_ZONE: "eu-1" }),
        `LLAMERO_SCORERS="zone": wants ${Settings.variables.scorers.wanted}`,
      )
    }))

  it("have the table for the documentation", () => {
    assert.include(Settings.table(), "| `LLAMERO_PORT` | `11435` | no | Port to listen on")
  })
})

describe("the settings of traces", () => {
  const traces = (env: Readonly<Record<string, string>>) => Effect.map(read(env), Settings.tracing)
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" }

  it.effect("are off without a collector, and where one of the variables turns them off", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* traces({}))
      assert.isUndefined(yield* traces({ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", OTEL_SERVICE_NAME: "x" }))
      assert.isUndefined(yield* traces({ ...endpoint, OTEL_SDK_DISABLED: "true" }))
      assert.isUndefined(yield* traces({ ...endpoint, OTEL_TRACES_EXPORTER: "none" }))
    }))

  it.effect("need the collector only", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* traces(endpoint), {
        url: "http://collector:4318/v1/traces",
        headers: {},
        protocol: "http/json",
        compression: "none",
        sampler: "parentbased_always_on",
        ratio: 1,
        errors: true,
        slowMillis: 60_000,
        serviceName: "llamero",
        resource: {},
        timeoutMillis: 10_000,
        delayMillis: 5000,
        queueMax: 2048,
        batchMax: 512,
      })
      for (
        const [base, url] of [["http://c:4318/", "http://c:4318/v1/traces"], [
          "https://c/otlp",
          "https://c/otlp/v1/traces",
        ]]
      ) {
        assert.strictEqual((yield* traces({ OTEL_EXPORTER_OTLP_ENDPOINT: base! }))?.url, url)
      }
    }))

  it.effect("have variables for traces alone, which count before those for all", () =>
    Effect.gen(function* () {
      const all = yield* traces({
        ...endpoint,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://other/in?x=1",
        OTEL_EXPORTER_OTLP_HEADERS: "api-key=all",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: "api-key=a%3Db, x = y=z ,nonsense",
        OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/protobuf",
        OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
        OTEL_EXPORTER_OTLP_TIMEOUT: "500",
        OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG: "0.01",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=prod,team=a%20b,empty=",
        OTEL_SERVICE_NAME: "router-1",
        LLAMERO_TRACE_ERRORS: "off",
        LLAMERO_TRACE_SLOW: "off",
      })
      assert.deepInclude(all, {
        url: "https://other/in?x=1",
        headers: { "api-key": "a=b", x: "y=z" },
        protocol: "http/protobuf",
        compression: "gzip",
        timeoutMillis: 500,
        sampler: "parentbased_traceidratio",
        ratio: 0.01,
        resource: { "deployment.environment.name": "prod", team: "a b", empty: "" },
        serviceName: "router-1",
        errors: false,
        slowMillis: Infinity,
      })
      const shared = yield* traces({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: "api-key=all" })
      assert.deepStrictEqual(shared?.headers, { "api-key": "all" })
    }))

  it.effect("are refused with what is wanted, and without a secret", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* complaint({ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }),
        `OTEL_EXPORTER_OTLP_PROTOCOL="grpc": wants http/protobuf or http/json, which collectors take on port 4318`,
      )
      for (
        const [name, value] of [
          ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"],
          ["OTEL_TRACES_SAMPLER_ARG", "1.5"],
          ["OTEL_TRACES_SAMPLER_ARG", "-1"],
          ["OTEL_TRACES_SAMPLER", "jaeger_remote"],
          ["OTEL_RESOURCE_ATTRIBUTES", "team"],
          ["OTEL_RESOURCE_ATTRIBUTES", "team=%zz"],
          ["OTEL_BSP_MAX_QUEUE_SIZE", "0"],
        ] as const
      ) {
        assert.include(yield* complaint({ ...endpoint, [name]: value }), `${name}="${value}": wants `)
      }
    }))
})

describe("the settings of metrics", () => {
  const metrics = (env: Readonly<Record<string, string>>) => Effect.map(read(env), Settings.metrics)
  const on = { OTEL_METRICS_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/" }

  it.effect("send them to a collector only where that is asked for", () =>
    Effect.gen(function* () {
      for (
        const env of [
          {},
          { OTEL_METRICS_EXPORTER: "otlp" },
          { ...on, OTEL_METRICS_EXPORTER: "" },
          { ...on, OTEL_METRICS_EXPORTER: "prometheus,console" },
          { ...on, OTEL_METRICS_EXPORTER: "none" },
          { ...on, OTEL_SDK_DISABLED: "true" },
          { OTEL_METRICS_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
        ]
      ) assert.isUndefined(yield* metrics(env), JSON.stringify(env))
      assert.isDefined(yield* metrics({ ...on, OTEL_METRICS_EXPORTER: "prometheus, OTLP" }))
    }))

  it.effect("need the collector and the exporter only", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* metrics(on), {
        url: "http://collector:4318/v1/metrics",
        headers: {},
        protocol: "http/json",
        compression: "none",
        intervalMillis: 60_000,
        timeoutMillis: 10_000,
        temporality: "cumulative",
        serviceName: "llamero",
        resource: {},
      })
    }))

  it.effect("have variables for metrics alone, which count before those for all", () =>
    Effect.gen(function* () {
      assert.deepInclude(
        yield* metrics({
          ...on,
          OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "https://other/in",
          OTEL_EXPORTER_OTLP_HEADERS: "api-key=all",
          OTEL_EXPORTER_OTLP_METRICS_HEADERS: "api-key=mine",
          OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
          OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "http/protobuf",
          OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
          OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: "500",
          OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "lowmemory",
          OTEL_METRIC_EXPORT_INTERVAL: "1000",
        }),
        {
          url: "https://other/in",
          headers: { "api-key": "mine" },
          protocol: "http/protobuf",
          compression: "gzip",
          timeoutMillis: 500,
          temporality: "delta",
          intervalMillis: 1000,
        },
      )
    }))

  it.effect("are refused with what is wanted", () =>
    Effect.gen(function* () {
      assert.include(
        yield* complaint({ ...on, OTEL_METRICS_EXPORTER: "statsd" }),
        `OTEL_METRICS_EXPORTER="statsd": wants`,
      )
      assert.include(
        yield* complaint({ ...on, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "grpc" }),
        `OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="grpc": wants http/protobuf or http/json`,
      )
    }))
})
