/**
 * Faults of the backends' processes: killed and started again, stopped and continued. It only touches processes that it
 * started, by their id.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { type Child, scratch, start } from "../processes.ts"

export interface Backend {
  readonly url: string
  readonly counts: () => { readonly asked: number; readonly answered: number }
  readonly kill: () => Promise<void>
  readonly freeze: (millis: number) => Promise<void>
}

const answers = async (url: string): Promise<boolean> => {
  try {
    return (await fetch(`${url}/api/version`, { signal: AbortSignal.timeout(2000) })).ok
  } catch {
    return false
  }
}

const until = async (what: string, holds: () => Promise<boolean>, gone: () => string | undefined): Promise<void> => {
  for (let i = 0; i < 300; i++) {
    if (await holds()) return
    const why = gone()
    if (why !== undefined) throw new Error(`${what} ${why}`)
    await sleep(100)
  }
  throw new Error(`${what} did not answer within 30 seconds`)
}

/** Starts a backend on a port and waits until it answers. */
export const backend = async (index: number, port: number): Promise<Backend> => {
  const url = `http://127.0.0.1:${port}`
  const file = join(scratch, `counts-${index}.json`)
  let child: Child
  let seed = index + 1
  const up = async (): Promise<void> => {
    const args = ["bench/soak/backend.ts", String(port), file, String(seed++)]
    child = start({ file: process.execPath, args }, undefined)
    await until(`backend ${index}`, () => answers(url), child.gone)
  }
  await up()
  return {
    url,
    counts: () => existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { asked: 0, answered: 0 },
    kill: async () => {
      process.kill(child.pid, "SIGKILL")
      while (child.gone() === undefined) await sleep(20)
      await sleep(500)
      await up()
    },
    freeze: async (millis) => {
      process.kill(child.pid, "SIGSTOP")
      await sleep(millis)
      process.kill(child.pid, "SIGCONT")
    },
  }
}

/** One fault after another until it is told to stop. At the end all backends are up. */
export const torment = async (
  backends: ReadonlyArray<Backend>,
  ended: () => boolean,
): Promise<Record<string, number>> => {
  const done = { kills: 0, freezes: 0 }
  for (let i = 0; !ended(); i++) {
    await sleep(2000)
    const one = backends[i % backends.length]!
    if (i % 3 === 2) {
      await one.freeze(1500)
      done.freezes++
    } else {
      await one.kill()
      done.kills++
    }
  }
  return done
}
