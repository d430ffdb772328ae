/** Each broken set-up has one finding, which names its cause, and nothing else. A healthy one has none. */
import { assert, describe, it } from "@effect/vitest"
import { examine } from "../../../src/command/doctor/checks/index.ts"
import { type Id, kinds } from "../../../src/command/doctor/kinds.ts"
import type { Observations } from "../../../src/command/doctor/observations.ts"
import { report } from "../../../src/command/doctor/report.ts"
import { backend } from "../../../src/services/Fleet.ts"
import {
  answers,
  both,
  type Change,
  env,
  gib,
  gpu,
  healthy,
  here,
  on,
  ps,
  put,
  set,
  silent,
  tag,
  wanted,
} from "./healthy.ts"

/** A name, what is broken, the one finding, and words that it has. */
type SetUp = readonly [name: string, change: Change, id: Id, ...words: ReadonlyArray<RegExp>]

const memory = { backend: "a", model: "qwen3:32b" }
const big = wanted("qwen3:32b", { planned: true })
const withBig = on("a", ({ tags }) => ({ tags: [...tags ?? [], tag("qwen3:32b")] }))
const bigEverywhere = both(withBig, on("b", ({ tags }) => ({ tags: [...tags ?? [], tag("qwen3:32b")] })))
const at = (context: number, size: number, automatic = false) => ({ ...memory, context, automatic, bytes: size * gib })
const onB = (context: number, size: number, automatic = false) => ({ ...at(context, size, automatic), backend: "b" })
const failed = (reason: string, source = "nvml") => ({ source, reason, description: `it says ${reason}` })
const system = gpu("system", { kind: "system", name: "System memory", capability: undefined })
const state = { backends: [], prewarm: [] }
const empty = on("a", () => ({ ps: [] }))
const answered = { _tag: "Answered", status: 200, millis: 3, text: "", skewMillis: 0 } as const

const ofBackends: ReadonlyArray<SetUp> = [
  ["nothing listens", silent("refused"), "backend-unreachable", /Nothing listens/, /ollama serve/],
  ["nothing listens on another machine", silent("refused", "b"), "backend-unreachable", /OLLAMA_HOST=0\.0\.0\.0/],
  ["an unknown name", silent("name"), "backend-unreachable", /does not resolve/],
  ["a certificate of nobody", silent("certificate"), "backend-unreachable", /authority/, /LLAMERO_CA_FILE/],
  ["packets are dropped", silent("timeout"), "backend-unreachable", /firewall/],
  ["the connection breaks", silent("broken"), "backend-unreachable", /closes connections/],
  ["not HTTP", silent("protocol"), "not-ollama", /does not speak HTTP/],
  ["a proxy asks for a user", answers(401, "denied"), "backend-refuses", /proxy/, /fleet file/],
  ["Ollama refuses the host name", answers(403, ""), "backend-refuses", /as Host/, /OLLAMA_HOST=0.0.0.0/],
  ["a page of nginx", answers(404, "<html>nginx"), "not-ollama", /Another program/, /nginx/],
  ["a proxy without its Ollama", answers(502, "Bad Gateway"), "not-ollama", /the Ollama behind it/],
  ["JSON without a version", answers(200, `{"object":"list"}`), "not-ollama", /Another program/],
  ["a slow server", on("a", () => ({ answer: { ...answered, millis: 1500 } })), "backend-slow", /1\.5 s/],
  ["a clock ahead", on("a", () => ({ answer: { ...answered, skewMillis: 65_000 } })), "clock-skew", /65 s ahead/],
  ["a clock behind", on("a", () => ({ answer: { ...answered, skewMillis: -6000 } })), "clock-skew", /6 s behind/],
  ["Ollama 0.5.3", on("a", () => ({ version: "0.5.3" })), "ollama-old", /0\.5\.4 or later/],
  ["Ollama 0.3.14", on("a", () => ({ version: "0.3.14" })), "ollama-old", /0\.3\.14/],
  ["Ollama 0.24.0", on("a", () => ({ version: "0.24.0" })), "ollama-not-current", /0\.33/],
]

const ofModels: ReadonlyArray<SetUp> = [
  [
    "a required model is nowhere",
    put({ models: [wanted("mistral:7b")] }),
    "model-missing",
    /404/,
    /ollama pull mistral/,
  ],
  [
    "a planned model is nowhere",
    put({ models: [wanted("mistral:7b", { planned: true })] }),
    "model-missing",
    /A plan loads it/,
  ],
  [
    "a required model is on one backend only",
    both(
      on("a", ({ tags }) => ({ tags: [...tags ?? [], tag("mistral:7b")] })),
      put({ models: [wanted("mistral:7b")] }),
    ),
    "model-not-everywhere",
    /b does not have it/,
    /OLLAMA_HOST=http:\/\/10\.0\.0\.5:11434 ollama pull mistral:7b/,
  ],
  [
    "one name, two models",
    on("a", () => ({ tags: [tag("LLAMA3.1:8b", "f".repeat(64)), tag("nomic-embed-text", "e".repeat(64))] })),
    "digests-differ",
    /a: ffffffffffff; b: dddddddddddd/,
  ],
]

const ofGpus: ReadonlyArray<SetUp> = [
  [
    "a driver that waits for a restart",
    here({ source: "system-memory", devices: [system], passedOver: [failed("DriverMismatch")], driver: undefined }),
    "gpu-unreadable",
    /updated/,
    /Restart/,
  ],
  [
    "a driver that is not loaded",
    here({ source: "system-memory", devices: [system], passedOver: [failed("DriverNotLoaded")], driver: undefined }),
    "gpu-unreadable",
    /modprobe/,
  ],
  ["a driver that hangs", here({ source: "", devices: undefined, passedOver: [failed("Timeout")] }), "gpu-unreadable"],
  [
    "a wrong token of an agent",
    put({
      hosts: healthy.hosts.map((one) =>
        one.name === "localhost"
          ? one
          : { ...one, source: "", devices: undefined, passedOver: [failed("PermissionDenied", "agent 10.0.0.5:11436")] }
      ),
    }),
    "gpu-unreadable",
    /refuses the token/,
    /LLAMERO_AGENT_TOKEN/,
  ],
  ["driver 470", here({ driver: { version: "470.82.01", cuda: "11.4" } }), "driver-old", /driver 531/, /CUDA 11\.4/],
  [
    "driver 550 for a P40",
    here({ driver: { version: "550.54.14", cuda: "12.4" }, devices: [gpu("GPU-a", { capability: 6.1 })] }),
    "driver-old",
    /driver 570/,
  ],
  ["only CUDA 11 is known", here({ driver: { version: undefined, cuda: "11.8" } }), "driver-old", /CUDA 11\.8/],
  ["a Kepler card", here({ devices: [gpu("GPU-a"), gpu("GPU-k", { capability: 3.7 })] }), "gpu-old", /3\.7/],
  ["an Xid", here({ devices: [gpu("GPU-a", { fault: "Xid 79" })] }), "gpu-faulty", /Xid 79/],
  ["CUDA_VISIBLE_DEVICES=-1", both(env({ CUDA_VISIBLE_DEVICES: "-1" }), empty), "gpu-hidden", /names no GPU/],
  [
    "CUDA_VISIBLE_DEVICES is empty, and a model is on the CPU",
    both(env({ CUDA_VISIBLE_DEVICES: "" }), on("a", () => ({ ps: [ps("llama3.1:8b", { size_vram: 0 })] }))),
    "gpu-hidden",
    /UUID/,
  ],
  ["a model on the CPU", on("a", () => ({ ps: [ps("llama3.1:8b", { size_vram: 0 })] })), "gpu-unused", /--gpus all/],
  [
    "a machine without GPU",
    both(
      here({ source: "system-memory", devices: [system], passedOver: [failed("LibraryMissing")], driver: undefined }),
      on("a", () => ({ ps: [ps("llama3.1:8b", { size_vram: 0 })] })),
      set({ vram: false }),
    ),
    "cpu-unlabelled",
    /device: cpu/,
  ],
  [
    "koffi is missing",
    here({ source: "nvidia-smi", passedOver: [failed("LibraryMissing")], driver: undefined }),
    "nvml-unused",
    /npm install koffi/,
  ],
]

const ofMemory: ReadonlyArray<SetUp> = [
  [
    "a spill for want of room",
    on("a", () => ({ ps: [ps("llama3.1:8b", { size: 8 * gib, size_vram: 6 * gib })] })),
    "model-spilled",
    /2\.0 GiB of its 8\.0 GiB/,
    /Other models/,
  ],
  [
    "a spill of a model that is too large",
    on("a", () => ({ ps: [ps("llama3.1:8b", { size: 40 * gib, size_vram: 20 * gib, context_length: 131_072 })] })),
    "model-spilled",
    /131072 tokens/,
    /OLLAMA_CONTEXT_LENGTH/,
  ],
  [
    "a model beside one on the GPU that has nothing there",
    on("a", () => ({ ps: [ps("llama3.1:8b"), ps("nomic-embed-text:latest", { size: gib, size_vram: 0 })] })),
    "model-spilled",
    /nomic-embed-text/,
  ],
  [
    "a model that no GPU holds",
    both(bigEverywhere, put({ models: [big], footprints: [at(4096, 30), onB(4096, 31, true)] })),
    "model-too-large",
    /30\.0 GiB/,
    /22\.0 GiB/,
  ],
  [
    "the automatic context is too large",
    both(bigEverywhere, put({ models: [big], footprints: [at(4096, 18), at(8192, 20), at(32_768, 28, true)] })),
    "context-too-large",
    /OLLAMA_CONTEXT_LENGTH=8192/,
  ],
  [
    "a plan for more than the fleet has",
    both(
      bigEverywhere,
      put({
        models: [big, wanted("llama3.1:8b", { planned: true }), wanted("nomic-embed-text", { planned: true })].map((
          one,
        ) => ({ ...one, key: one.name.includes(":") ? one.name : `${one.name}:latest` })),
        footprints: [
          at(4096, 20, true),
          { ...at(4096, 20, true), model: "llama3.1:8b" },
          { ...at(4096, 5, true), model: "nomic-embed-text:latest" },
        ],
      }),
    ),
    "prewarm-too-large",
    /45\.0 GiB; there are 44\.0 GiB/,
  ],
  [
    "OLLAMA_MAX_LOADED_MODELS=1",
    both(
      env({ OLLAMA_MAX_LOADED_MODELS: "1" }),
      put({ models: ["x", "y", "llama3.1:8b"].map((name) => wanted(name, { planned: true })) }),
      on("a", () => ({ tags: ["x", "y", "llama3.1:8b"].map((name) => tag(`${name}`)) })),
      on("b", () => ({ tags: ["x", "y", "llama3.1:8b"].map((name) => tag(`${name}`)) })),
      (all) => ({
        ...all,
        models: all.models.map((one) => ({ ...one, key: one.name.includes(":") ? one.name : `${one.name}:latest` })),
      }),
    ),
    "max-loaded-small",
    /OLLAMA_MAX_LOADED_MODELS is 1/,
    /2 backends/,
  ],
  [
    "another machine without an agent",
    put({ hosts: healthy.hosts.filter(({ name }) => name === "localhost") }),
    "devices-unknown",
    /LLAMERO_AGENTS/,
  ],
  ["a reserve of 0", set({ vramReserve: 0 }), "reserve-small", /0\.7 GiB/],
  ["a reserve below Ollama's own", set({ vramReserve: 0.75 * gib }), "reserve-small", /leaves 1 GiB free/],
  ["a reserve of half a GPU", set({ vramReserve: 13 * gib }), "reserve-large", /24\.0 GiB/],
  ["a fit target of 4 GiB", env({ LLAMA_ARG_FIT_TARGET: "4096" }), "fit-target-large", /4\.0 GiB/, /2\.0 GiB/],
]

const ofVariables: ReadonlyArray<SetUp> = [
  ["OLLAMA_MAX_VRAM", env({ OLLAMA_MAX_VRAM: "0" }), "obsolete-variable", /removed it in 2024/, /LLAMERO_VRAM=on/],
  [
    "PYTORCH_CUDA_ALLOC_CONF",
    env({ PYTORCH_CUDA_ALLOC_CONF: "expandable_segments:True" }),
    "obsolete-variable",
    /no PyTorch/,
  ],
  ["OLLAMA_GPU_OVERHEAD", env({ OLLAMA_GPU_OVERHEAD: "1073741824" }), "obsolete-variable", /LLAMA_ARG_FIT_TARGET/],
  ["OLLAMA_TMPDIR", env({ OLLAMA_TMPDIR: "/data" }), "obsolete-variable", /TMPDIR/],
  [
    "OLLAMA_MAX_VRAM here, where Ollama's are not known",
    put({
      environments: [{ of: "command", from: "here", backends: [], values: { OLLAMA_MAX_VRAM: "1" } }],
    }),
    "obsolete-variable",
    /set here/,
  ],
  ["a keep-alive of a day", env({ OLLAMA_KEEP_ALIVE: "1d" }), "variable-unreadable", /1d/, /5m/],
  ["NUM_PARALLEL in words", env({ OLLAMA_NUM_PARALLEL: "four" }), "variable-unreadable", /default, 1/],
  ["no keep-alive", env({ OLLAMA_KEEP_ALIVE: "0" }), "keep-alive-short", /right after its request/],
  ["ten seconds of keep-alive", env({ OLLAMA_KEEP_ALIVE: "10" }), "keep-alive-short", /10 s after/],
  [
    "a fixed parallelism above Ollama's",
    both(
      set({ adaptive: false }),
      on("a", ({ backend: one }) => ({ backend: { ...one, parallelism: 8 } })),
      on("b", ({ backend: one }) => ({ backend: { ...one, parallelism: 4 } })),
    ),
    "parallelism-high",
    /is 8/,
    /LLAMERO_PARALLELISM=4/,
  ],
  [
    "more learned than Ollama serves",
    put({
      router: {
        url: "http://r",
        answer: answered,
        state: {
          ...state,
          backends: [
            { id: "a", url: "", health: "healthy", reason: "", models: [{ model: "llama3.1:8b", streams_max: 6 }] },
          ],
        },
      },
    }),
    "parallelism-high",
    /up to 6 streams/,
  ],
  [
    "a fixed parallelism below Ollama's",
    both(
      set({ adaptive: false }),
      on("b", ({ backend: one }) => ({ backend: { ...one, parallelism: 4 } })),
    ),
    "parallelism-low",
    /LLAMERO_PARALLELISM=4/,
  ],
  ["NUM_PARALLEL is not set", env({ OLLAMA_NUM_PARALLEL: "" }), "parallelism-one", /not set/],
]

const ofTimes: ReadonlyArray<SetUp> = [
  ["an Ollama that loads for longer", env({ OLLAMA_LOAD_TIMEOUT: "15m" }), "load-timeout-short", /=900s/],
  ["an Ollama that loads without limit", env({ OLLAMA_LOAD_TIMEOUT: "0" }), "load-timeout-short", /no limit/],
  [
    "a total time below the first byte",
    set({ totalMillis: 60_000, gapMillis: 30_000 }),
    "timeout-order",
    /LLAMERO_TOTAL_TIMEOUT is 60 s/,
  ],
  ["an answer time below the first byte", set({ answerMillis: 30_000 }), "timeout-order", /LLAMERO_ANSWER_TIMEOUT/],
  ["heartbeats that never come", set({ heartbeatMillis: 180_000 }), "timeout-order", /No heartbeat/],
  ["slow heartbeats", set({ heartbeatMillis: 90_000 }), "heartbeat-slow", /60 seconds/],
  [
    "a proxy of 10 seconds",
    put({ inFront: { clientMillis: undefined, proxyMillis: 10_000 } }),
    "proxy-timeout-short",
    /waits 10 s/,
    /proxy_read_timeout/,
  ],
  [
    "clients of 15 seconds",
    put({ inFront: { clientMillis: 15_000, proxyMillis: undefined } }),
    "client-timeout-short",
    /LLAMERO_QUEUE_DEADLINE/,
  ],
]

const ofRouter: ReadonlyArray<SetUp> = [
  [
    "wrong settings",
    (all) => ({ ...all, settings: { ...all.settings, flaws: [`LLAMERO_PORT="x": wants a port`] } }),
    "settings-wrong",
    /LLAMERO_PORT/,
  ],
  [
    "a fleet file that is not there",
    put({ fleetFlaw: "fleet.json: no such file", backends: [], models: [] }),
    "fleet-unreadable",
  ],
  ["256 files", put({ openFiles: 256 }), "open-files", /ulimit/],
  [
    "no router at --url",
    put({
      router: {
        url: "http://r",
        answer: { _tag: "NoAnswer", why: "refused", description: "refused" },
        state: undefined,
      },
    }),
    "router-unreachable",
    /Nothing listens/,
  ],
  [
    "a wrong admin token",
    put({ router: { url: "http://r", answer: { ...answered, status: 401 }, state: undefined } }),
    "router-token",
    /not the router's/,
  ],
  [
    "a router without admin API",
    put({ router: { url: "http://r", answer: { ...answered, status: 404 }, state: undefined } }),
    "router-token",
    /LLAMERO_ADMIN_TOKEN/,
  ],
  [
    "a router that does not reach a backend",
    put({
      router: {
        url: "http://r",
        answer: answered,
        state: { ...state, backends: [{ id: "b", url: "", health: "unhealthy", reason: "timed out", models: [] }] },
      },
    }),
    "router-disagrees",
    /timed out/,
  ],
  [
    "a planned model that the router could not load",
    put({
      router: {
        url: "http://r",
        answer: answered,
        state: {
          ...state,
          prewarm: [{ model: "llama3.1:8b", backend: "a", state: "failed", reason: "out of memory" }],
        },
      },
    }),
    "prewarm-failed",
    /out of memory/,
  ],
]

const all: ReadonlyArray<SetUp> = [
  ...ofBackends,
  ...ofModels,
  ...ofGpus,
  ...ofMemory,
  ...ofVariables,
  ...ofTimes,
  ...ofRouter,
]

describe("a healthy set-up", () => {
  it("has no finding, not even advice, and nothing unknown but a router that was not asked for", () => {
    assert.deepStrictEqual(examine(healthy), [])
    const { healthy: isHealthy, unknown } = report(healthy)
    assert.isTrue(isHealthy)
    assert.deepStrictEqual(unknown.map(({ what }) => what), ["what a running router has learned"])
  })

  it("has none without LLAMERO_VRAM, and with a backend on the CPU that says so", () => {
    const labels = { device: "cpu" }
    const cpu = on("b", () => ({
      backend: backend({ url: "http://10.0.0.5:11434", id: "b", labels }),
      ps: [ps("llama3.1:8b", { size_vram: 0 })],
    }))
    for (const change of [set({ vram: false }), cpu, both(cpu, set({ vram: false }))]) {
      assert.deepStrictEqual(examine(change(healthy)), [])
    }
  })

  it("has none where nothing is known but that every backend answers", () => {
    const little: Observations = {
      ...healthy,
      settings: { ...healthy.settings, values: { ...healthy.settings.values, vram: false } },
      backends: healthy.backends.map((one) => ({ ...one, tags: undefined, ps: undefined })),
      hosts: [],
      environments: [],
      openFiles: undefined,
    }
    assert.deepStrictEqual(examine(little), [])
    assert.isAbove(report(little).unknown.length, 3)
  })
})

describe("a broken set-up names its cause and nothing else", () => {
  for (const [name, change, id, ...words] of all) {
    it(name, () => {
      const found = examine(change(healthy))
      assert.deepStrictEqual(found.map((one) => one.id), [id])
      const [one] = found
      for (const word of words) assert.match(JSON.stringify(one).replaceAll('\\"', '"'), word)
      for (const part of [one!.subject, one!.symptom, one!.cause, one!.remedy]) assert.notStrictEqual(part, "")
      assert.strictEqual(one!.severity, kinds[id].severity)
    })
  }

  it("OLLAMA_GPU_OVERHEAD is no finding where it still works: before 0.30", () => {
    const old = both(env({ OLLAMA_GPU_OVERHEAD: "1073741824" }), on("a", () => ({ version: "0.24.0" })))
    assert.deepStrictEqual(examine(old(healthy)).map(({ id }) => id), ["ollama-not-current"])
    const zero = env({ OLLAMA_GPU_OVERHEAD: "0" })
    assert.deepStrictEqual(examine(zero(healthy)), [])
  })

  it("a parallelism that old servers choose by themselves is not judged", () => {
    const old = both(env({ OLLAMA_NUM_PARALLEL: "" }), on("a", () => ({ version: "0.9.5" })))
    assert.deepStrictEqual(examine(old(healthy)).map(({ id }) => id), ["ollama-not-current"])
  })

  it("of a model in memory Ollama's own report counts, and no estimate", () => {
    const estimated = put({
      models: [{ ...big, key: "llama3.1:8b" }],
      footprints: [{ ...at(4096, 30, true), model: "llama3.1:8b" }],
    })
    assert.deepStrictEqual(examine(estimated(healthy)), [])
    const spilled = on("a", () => ({ ps: [ps("llama3.1:8b", { size: 30 * gib, size_vram: 20 * gib })] }))
    assert.deepStrictEqual(examine(both(estimated, spilled)(healthy)).map(({ id }) => id), ["model-spilled"])
    const unloaded = on("a", () => ({ ps: [] }))
    assert.deepStrictEqual(examine(both(estimated, unloaded)(healthy)).map(({ id }) => id), ["model-too-large"])
  })

  it("GPUs of this machine do not matter where no backend is on it", () => {
    const remote = put({ backends: healthy.backends.filter(({ host }) => host !== "localhost") })
    const faulty = here({ devices: [gpu("GPU-a", { fault: "Xid 79" })], driver: { version: "470", cuda: "11" } })
    const driver = here({ source: "", devices: undefined, passedOver: [failed("DriverMismatch")] })
    for (const change of [faulty, driver]) {
      assert.isAbove(examine(change(healthy)).length, 0)
      assert.deepStrictEqual(examine(both(remote, change)(healthy)), [])
    }
  })

  it("CUDA_VISIBLE_DEVICES hides nothing where it names a GPU, or where a model is on one", () => {
    for (const value of ["0", "GPU-a", "1,0"]) {
      assert.deepStrictEqual(examine(both(env({ CUDA_VISIBLE_DEVICES: value }), empty)(healthy)), [])
    }
    assert.deepStrictEqual(examine(env({ CUDA_VISIBLE_DEVICES: "-1" })(healthy)), [])
  })

  it("the clock of a proxy is not that of a backend", () => {
    const proxy = on("a", () => ({ answer: { ...answered, status: 502, skewMillis: 3_600_000 }, version: undefined }))
    assert.deepStrictEqual(examine(proxy(healthy)).map(({ id }) => id), ["not-ollama"])
  })

  it("a driver that fails is the one cause, also of models on the CPU", () => {
    const driver = here({ source: "system-memory", devices: [system], passedOver: [failed("DriverMismatch")] })
    const cpu = on("a", () => ({ ps: [ps("llama3.1:8b", { size_vram: 0 })] }))
    assert.deepStrictEqual(examine(both(driver, cpu)(healthy)).map(({ id }) => id), ["gpu-unreadable"])
  })

  it("a model that nobody can be asked about is not missing", () => {
    const asked = put({ models: [wanted("mistral:7b")] })
    const found = examine(both(asked, silent("refused"))(healthy)).map(({ id }) => id)
    assert.deepStrictEqual(found, ["backend-unreachable"])
  })

  it("several things that are wrong are all told, the worst first", () => {
    const broken = both(silent("refused"), env({ OLLAMA_MAX_VRAM: "1" }), on("b", () => ({ version: "0.30.1" })))
    const { counts, findings, healthy: isHealthy } = report(broken(healthy))
    assert.deepStrictEqual(findings.map(({ id }) => id), [
      "backend-unreachable",
      "obsolete-variable",
      "ollama-not-current",
    ])
    assert.deepStrictEqual(counts, { error: 1, warning: 1, advice: 1 })
    assert.isFalse(isHealthy)
  })

  it("there is a set-up for every kind of finding", () => {
    assert.sameMembers([...new Set(all.map(([, , id]) => id))], Object.keys(kinds))
  })
})
