/** A real Redis for one test: a free port, nothing on disk, ended when the scope closes. */
import { Effect, Random, Schedule, Scope } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Running, start } from "./processes.ts"

/** Why there is no Redis; empty if there is one. */
export const absent: string = spawnSync("redis-server", ["--version"]).status === 0
  ? ""
  : "there is no redis-server (Debian package redis-server)"

export interface RunningRedis {
  readonly url: string
  /** Kills it, as a machine that dies. */
  readonly kill: Effect.Effect<void>
  /** Starts it again on the same port, empty. */
  readonly restart: Effect.Effect<void>
}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "redis-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true })),
)

/** Fails when the port is taken. */
const serve = Effect.fnUntraced(function* (port: number, dir: string) {
  const options = { port, dir, bind: "127.0.0.1", save: "", appendonly: "no" }
  const running = yield* start([
    "redis-server",
    ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
  ])
  const ready = Effect.suspend(() =>
    running.printed().includes("Ready to accept connections") ? Effect.void : Effect.fail("not yet")
  )
  const up = Effect.retry(ready, Schedule.spaced("20 millis"))
  yield* Effect.raceFirst(up, Effect.flatMap(running.ended, () => Effect.fail(running.printed())))
  return running
})

export const make = Effect.gen(function* () {
  const dir = yield* folder
  const outer = yield* Effect.scope
  // A port below those that the system gives out for port 0.
  const anywhere = Effect.flatMap(
    Random.nextIntBetween(20_000, 30_000),
    (port) => Effect.map(Scope.provide(serve(port, dir), outer), (running) => ({ port, running })),
  )
  const first = yield* Effect.orDie(Effect.retry(anywhere, { times: 5 }))
  let running: Running = first.running
  return {
    url: `redis://127.0.0.1:${first.port}`,
    kill: Effect.suspend(() => {
      running.child.kill("SIGKILL")
      return Effect.asVoid(running.ended)
    }),
    restart: Effect.map(Effect.orDie(Scope.provide(serve(first.port, dir), outer)), (again) => {
      running = again
    }),
  } satisfies RunningRedis
})
