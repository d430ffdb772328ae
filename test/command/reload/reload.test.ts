/** How a running server reads its settings again: what can change, one reload at a time, and what starts one. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Redacted } from "effect"
import { TestClock } from "effect/testing"
import process from "node:process"
import * as Reload from "../../../src/command/serve/reload.ts"
import * as ReloadTriggers from "../../../src/command/serve/reloadTriggers.ts"
import * as SynchronousRouterEvents from "../../../src/layers/events/SynchronousRouterEvents.ts"
import * as Settings from "../../../src/layers/Settings.ts"
import { type AdminChanged, RouterEvents } from "../../../src/services/RouterEvents.ts"
import { fleetOf, keysOf, now, type Started, started, type World } from "./world.ts"

const worldOf = (env: World["env"], files: World["files"] = {}): World => ({ env, files })
const plain = () => worldOf({ LLAMERO_BACKENDS: "http://a:1" })
const filed = () =>
  worldOf({ LLAMERO_FLEET_FILE: "/fleet.json", LLAMERO_KEYS_FILE: "/keys.json" }, {
    "/fleet.json": fleetOf("http://a:1"),
    "/keys.json": keysOf("a"),
  })

/** Another value of the same kind; `undefined` where a setting has none that is right by itself. */
const other = (key: keyof Settings.Settings, value: unknown): unknown => {
  if (key === "scorers") return [["weight", 1]]
  if (key === "logLevel") return "Debug"
  if (key === "aliases") return { x: ["y"] }
  if (key === "picker") return "two-choices"
  if (key === "backends") return ["http://b:1"]
  if (key === "fleetFile" || key === "ollamaHost") return undefined
  if (typeof value === "number") return value === Infinity ? 5000 : value + 1
  if (typeof value === "boolean") return !value
  if (typeof value === "string") return `${value}x`
  if (Array.isArray(value)) return [...value, "x"]
  return { ...(value as object), x: 1 }
}

/** Lines of the log while an effect runs. */
const logged = <A, E, R>(effect: (lines: Array<string>) => Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => void lines.push(String(message)))
  return Effect.provide(effect(lines), Logger.layer([logger]))
}

const turns = Effect.repeat(Effect.yieldNow, { times: 50 })

const silent = Effect.provide(Logger.layer([]))

describe("what a reload changes", () => {
  for (const key of Object.keys(Settings.variables) as ReadonlyArray<keyof Settings.Settings>) {
    const { name } = Settings.variables[key]
    const changed = other(key, Settings.defaults[key])
    if (changed === undefined) continue
    const isChangeable = Settings.changeable.has(key)
    it.effect(`${name}: ${isChangeable ? "takes effect" : "is refused by its name, and all other changes with it"}`, () => {
      let adjust = (settings: Settings.Settings): Settings.Settings => settings
      return Effect.gen(function* () {
        const server = yield* started(plain(), (settings) => adjust(settings))
        const before = now(server)
        adjust = (settings) => ({ ...settings, queueCapacity: 77, [key]: changed })
        const result = yield* Effect.result(server.reloading.reload())
        if (isChangeable) {
          assert.strictEqual(result._tag, "Success")
          assert.deepStrictEqual(server.running.settings.now[key], changed)
        } else {
          assert(result._tag === "Failure")
          assert.deepStrictEqual(result.failure.flaws, [`${name}: only a restart can change it`])
          assert.deepStrictEqual(now(server), before)
        }
      }).pipe(silent)
    })
  }

  it.effect("backends come from a list, then from a file, then from the one variable", () => {
    const world = plain()
    return Effect.gen(function* () {
      const server = yield* started(world)
      world.files = { "/fleet.json": fleetOf({ url: "http://f:1", id: "f" }) }
      world.env = { LLAMERO_FLEET_FILE: "/fleet.json" }
      assert.isTrue((yield* server.reloading.reload()).fleet)
      assert.deepStrictEqual(now(server).fleet, [["f", "http://f:1", 1, 32]])
      world.env = { OLLAMA_HOST: "o:1", LLAMERO_PARALLELISM: "3" }
      assert.isTrue((yield* server.reloading.reload()).fleet)
      assert.deepStrictEqual(now(server).fleet, [["o:1", "http://o:1", 3, 32]])
      world.env = {}
      const { flaws } = yield* Effect.flip(server.reloading.reload())
      assert.lengthOf(flaws, 1)
      assert.match(flaws[0]!, /no setting names backends any more/)
      assert.deepStrictEqual(now(server).fleet, [["o:1", "http://o:1", 3, 32]])
    }).pipe(silent)
  })

  it.effect("a level that an operator has set stays until the setting changes", () => {
    const world = plain()
    return Effect.gen(function* () {
      const server = yield* started(world)
      server.choices.log.setLevel("Trace")
      world.env = { ...world.env, LLAMERO_ALIASES: "a=b" }
      yield* server.reloading.reload()
      assert.strictEqual(server.choices.log.level(), "Trace")
      world.env = { ...world.env, LLAMERO_LOG_LEVEL: "Error" }
      yield* server.reloading.reload()
      assert.strictEqual(server.choices.log.level(), "Error")
    }).pipe(silent)
  })

  it.effect("a drained backend stays drained, and a backend that did not change keeps its object", () => {
    const world = filed()
    world.files = { ...world.files, "/fleet.json": fleetOf("http://a:1", "http://b:1") }
    return Effect.gen(function* () {
      const server = yield* started(world)
      yield* server.fleet.setState("a:1", "draining")
      const [, b] = server.fleet.members()
      world.files = {
        ...world.files,
        "/fleet.json": fleetOf({ url: "http://a:1", weight: 5 }, "http://b:1", "http://c:1"),
      }
      yield* server.reloading.reload()
      const [first, second, third] = server.fleet.members()
      assert.deepStrictEqual([first?.state, first?.backend.weight, third?.backend.id], ["draining", 5, "c:1"])
      assert.strictEqual(second, b)
    }).pipe(silent)
  })

  it.effect("everything that is wrong is in one line of the log, and nothing was changed", () => {
    const world = filed()
    return logged((lines) =>
      Effect.gen(function* () {
        const server = yield* started(world)
        const before = now(server)
        world.env = { ...world.env, LLAMERO_PORT: "5", LLAMERO_HOST: "0.0.0.0", LLAMERO_ALIASES: "a=b" }
        world.files = { "/fleet.json": "{", "/keys.json": keysOf("z") }
        const { flaws } = yield* Effect.flip(server.reloading.reload())
        assert.lengthOf(flaws, 3)
        assert.strictEqual(flaws[0], "LLAMERO_HOST, LLAMERO_PORT: only a restart can change them")
        assert.match(flaws[1]!, /^LLAMERO_FLEET_FILE: \/fleet\.json/)
        assert.match(flaws[2]!, /^LLAMERO_KEYS_FILE: .*keys\[0\]\.sha256 must be 64 hex digits/)
        assert.deepStrictEqual(lines, [`reload refused, nothing has changed: ${flaws.join("; ")}`])
        assert.deepStrictEqual(now(server), before)
        world.files = { "/fleet.json": `{"backends": [{}]}`, "/keys.json": "" }
        assert.notMatch((yield* Effect.flip(server.reloading.reload())).message, /\n/)
        world.env = { ...world.env, LLAMERO_PORT: "x", LLAMERO_ALIASES: "a", LLAMERO_TYPO: "1" }
        const unread = yield* Effect.flip(server.reloading.reload())
        assert.lengthOf(unread.flaws, 3)
      })
    )
  })
})

describe("files that change while they are read", () => {
  it.effect("are read again, so that no half of a change is taken", () => {
    const world = filed()
    return Effect.gen(function* () {
      const server = yield* started(world)
      const state = () => `${now(server).fleet.map(([id]) => id)} ${now(server).keys}`
      // Of each file the first read is for the comparison. So the change comes between the fleet and the keys.
      let reads = 0
      world.onRead = (path) => {
        if (path === "/fleet.json" && ++reads === 2) {
          world.files = { "/fleet.json": fleetOf("http://b:1"), "/keys.json": keysOf("b") }
        }
      }
      yield* server.reloading.reload()
      assert.strictEqual(state(), "b:1 b")
      assert.isAtLeast(reads, 4)
      // A file that never comes to rest does not hold the reload up for ever.
      world.onRead = (path) => {
        reads++
        if (path === "/fleet.json") world.files = { ...world.files, "/fleet.json": fleetOf(`http://b:${reads}`) }
      }
      reads = 0
      yield* server.reloading.reload()
      assert.isBelow(reads, 50)
    }).pipe(silent)
  })
})

describe("one reload at a time", () => {
  /** A server whose reads of the settings wait until they are let go. */
  const slow = Effect.gen(function* () {
    const server = yield* started(plain())
    const gates: Array<Deferred.Deferred<void>> = []
    const reloading = Reload.make({
      read: Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        gates.push(gate)
        yield* Deferred.await(gate)
        return { ...server.running.settings.now, queueCapacity: gates.length }
      }),
      watched: [],
      placing: server.choices,
      place: {
        fleet: { layer: Layer.empty as never, replace: () => Effect.succeed(false) },
        first: { backends: [], again: undefined },
        source: () => Effect.succeed({ backends: [], again: undefined }),
      },
      files: server.files,
    })
    return { gates, reloading, server }
  })
  it.effect("all that are asked for while one runs are one more, which begins after it", () =>
    Effect.gen(function* () {
      const { gates, reloading, server } = yield* slow
      const ask = Effect.forkChild(reloading.reload(), { startImmediately: true })
      const first = yield* ask
      yield* turns
      const others = [yield* ask, yield* ask, yield* ask]
      yield* turns
      assert.lengthOf(gates, 1)
      yield* Deferred.succeed(gates[0]!, undefined)
      assert.deepStrictEqual((yield* Fiber.join(first)).settings, ["LLAMERO_QUEUE_CAPACITY"])
      assert.strictEqual(server.running.settings.now.queueCapacity, 1)
      yield* turns
      assert.lengthOf(gates, 2)
      assert.deepStrictEqual(others.map((fiber) => fiber.pollUnsafe()), [undefined, undefined, undefined])
      yield* Deferred.succeed(gates[1]!, undefined)
      for (const fiber of others) {
        assert.deepStrictEqual((yield* Fiber.join(fiber)).settings, ["LLAMERO_QUEUE_CAPACITY"])
      }
      assert.lengthOf(gates, 2)
    }).pipe(silent))

  it.effect("goes on when whoever asked for it has left", () =>
    Effect.gen(function* () {
      const { gates, reloading, server } = yield* slow
      const fiber = yield* Effect.forkChild(reloading.reload(), { startImmediately: true })
      yield* turns
      yield* Fiber.interrupt(fiber)
      yield* Deferred.succeed(gates[0]!, undefined)
      yield* turns
      assert.strictEqual(server.running.settings.now.queueCapacity, 1)
    }).pipe(silent))
})

describe("what starts a reload", () => {
  const reloads = Effect.map(
    RouterEvents,
    (events) =>
      events.recent(100).filter((event): event is AdminChanged => event._tag === "AdminChanged").toReversed()
        .map(({ action, reason, result, who }) => [who, action, result, reason]),
  )

  const triggered = <A, E>(
    world: World,
    test: (server: Started, lines: ReadonlyArray<string>) => Effect.Effect<A, E, RouterEvents>,
    watched: ReadonlyArray<string> = [],
  ) =>
    logged((lines) =>
      Effect.gen(function* () {
        const server = yield* started(world, undefined, watched)
        yield* Layer.build(ReloadTriggers.layer(server.reloading))
        yield* TestClock.adjust("2 seconds")
        return yield* test(server, lines)
      }).pipe(Effect.provide(SynchronousRouterEvents.layer))
    )

  it.effect("a file that changes: the fleet's, the keys', and any other that is watched", () => {
    const world = filed()
    return triggered(world, (server, lines) =>
      Effect.gen(function* () {
        assert.deepStrictEqual([yield* reloads, lines], [[], []], "nothing has changed since the start")
        world.files = { ...world.files, "/fleet.json": fleetOf("http://a:1", "http://b:1") }
        yield* TestClock.adjust("2 seconds")
        world.files = { ...world.files, "/keys.json": keysOf("b") }
        yield* TestClock.adjust("2 seconds")
        world.env = { ...world.env, LLAMERO_ALIASES: "a=b" }
        yield* TestClock.adjust("2 seconds")
        assert.lengthOf(Object.keys(now(server).settings.aliases), 0)
        world.files = { ...world.files, "/llamero.json": "1" }
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(now(server).keys, ["b"])
        assert.deepStrictEqual(now(server).settings.aliases, { a: ["b"] })
        const reasons = ["fleet", "keys", "LLAMERO_ALIASES"]
        assert.deepStrictEqual(yield* reloads, reasons.map((reason) => ["file", "reload", "done", reason]))
        assert.deepStrictEqual(lines, reasons.map((reason) => `reloaded: ${reason}`))
      }), ["/llamero.json"])
  })

  it.effect("a file that is being written is read when it has come to rest", () => {
    const world = filed()
    const whole = fleetOf("http://a:1", "http://b:1")
    return triggered(world, (server, lines) =>
      Effect.gen(function* () {
        for (let end = 1; end <= 12; end++) {
          world.files = { ...world.files, "/fleet.json": whole.slice(0, end) }
          yield* TestClock.adjust("90 millis")
        }
        world.files = { ...world.files, "/fleet.json": whole }
        yield* TestClock.adjust("2 seconds")
        assert.lengthOf(server.fleet.members(), 2)
        assert.deepStrictEqual(lines, ["reloaded: fleet"])
      }))
  })

  it.effect("a wrong file is told once; the next right one is taken, and a file that is missing is waited for", () => {
    const world = filed()
    return triggered(world, (server, lines) =>
      Effect.gen(function* () {
        const entry = { url: "http://c:1", id: "c", token: { file: "/token" } }
        world.files = { ...world.files, "/fleet.json": fleetOf(entry) }
        yield* TestClock.adjust("30 seconds")
        assert.lengthOf(lines, 1)
        assert.match(lines[0]!, /^reload refused, nothing has changed: LLAMERO_FLEET_FILE: .*\/token/)
        assert.isTrue(server.reloading.isRefused())
        assert.deepStrictEqual(now(server).fleet.map(([id]) => id), ["a:1"])
        // No watched file changes now.
        world.files = { ...world.files, "/token": "secret-1" }
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(now(server).fleet.map(([id]) => id), ["c"])
        assert.deepStrictEqual(lines.slice(1), ["reload: nothing is wrong any more", "reloaded: fleet"])
      }))
  })

  it.effect("a token that is rotated is sent from then on, also while the settings cannot be read", () => {
    const world = worldOf({ LLAMERO_FLEET_FILE: "/fleet.json" }, {
      "/fleet.json": fleetOf({ url: "http://c:1", id: "c", token: { file: "/token" } }),
      "/token": "secret-1",
    })
    const token = ({ fleet }: Started) => Redacted.value(fleet.members()[0]!.backend.access!).headers().join(" ")
    return triggered(world, (server, lines) =>
      Effect.gen(function* () {
        assert.include(token(server), "secret-1")
        world.files = { ...world.files, "/token": "secret-2" }
        yield* TestClock.adjust("2 seconds")
        assert.include(token(server), "secret-2")
        world.files = { "/fleet.json": "{", "/token": "secret-3" }
        yield* TestClock.adjust("2 seconds")
        assert.include(token(server), "secret-3")
        assert.isTrue(server.reloading.isRefused())
        const { "/token": _, ...rest } = world.files
        world.files = rest
        yield* TestClock.adjust("5 seconds")
        assert.include(token(server), "secret-3")
        assert.lengthOf(lines.filter((line) => line.startsWith("the secrets of backends stay as they were")), 1)
        assert.notMatch(lines.join("\n"), /secret-\d/)
      }))
  })

  it.effect("SIGHUP, which does not end the process when the server stops", () => {
    const world = plain()
    const before = process.listenerCount("SIGHUP")
    return Effect.gen(function* () {
      yield* Effect.scoped(triggered(world, (server, lines) =>
        Effect.gen(function* () {
          world.env = { ...world.env, LLAMERO_QUEUE_CAPACITY: "9" }
          process.emit("SIGHUP")
          yield* turns
          assert.strictEqual(now(server).settings.queueCapacity, 9)
          process.emit("SIGHUP")
          yield* turns
          world.env = { LLAMERO_BACKENDS: "nothing://x" }
          process.emit("SIGHUP")
          yield* turns
          process.emit("SIGHUP")
          yield* turns
          const done = yield* reloads
          assert.deepStrictEqual(done.map(([who, , result]) => [who, result]), [
            ["SIGHUP", "done"],
            ["SIGHUP", "done"],
            ["SIGHUP", "refused"],
            ["SIGHUP", "refused"],
          ])
          assert.strictEqual(done[1]![3], "nothing has changed")
          assert.lengthOf(lines.filter((line) => line.startsWith("reload refused")), 2, "each signal has its answer")
        })))
      assert.isAtLeast(process.listenerCount("SIGHUP"), 1)
      assert.isAtMost(process.listenerCount("SIGHUP"), before + 1)
    })
  })
})
