/**
 * A model of devices, runners and other processes. A ledger and a residency see it through a probe and an API that may
 * fail.
 */
import { ByteSize, Clock, Effect, Layer, Option } from "effect"
import { Timeout } from "../../src/services/GpuProbe.ts"
import { GpuProbe, GpuProbeError, unknown } from "../../src/services/GpuProbe.ts"
import { OllamaApi, OllamaApiError, Rejected } from "../../src/services/OllamaApi.ts"
import { type Allocation, type Share, VramLedger } from "../../src/services/VramLedger.ts"
import * as MockModelCatalog from "../../src/testing/mocks/MockModelCatalog.ts"

export const gib = 1024 ** 3
export const reserve = 2 * gib
export const sizes: Readonly<Record<string, number>> = { "m:latest": 6, "n:latest": 9, "p:latest": 13, "q:latest": 30 }
export const backends = [
  { url: "http://a", id: "a", devices: ["g0", "g1"] },
  { url: "http://b", id: "b", devices: ["g1"] },
]
export const catalog = MockModelCatalog.layer(
  Object.keys(sizes).map((name) => ({ name, owners: ["a", "b"], size: 1e9 })),
)

interface Runner {
  readonly backend: string
  readonly model: string
  readonly shares: ReadonlyArray<Share>
  /** Bytes of the whole model. What is not in `shares` is in system memory. */
  readonly size: number
  /** Whether the router manages the memory of this backend. */
  readonly managed: boolean
  loading: boolean
}

interface Device {
  readonly total: number
  foreign: number
  /** Whether other programs took memory since the last good reading. */
  dirty: boolean
  /** How often other programs took memory. */
  taken: number
}

export class World {
  /** In GiB. */
  readonly sizes: Readonly<Record<string, number>>

  readonly devices = new Map<string, Device>([
    ["g0", { total: 24 * gib, foreign: 0, dirty: false, taken: 0 }],
    ["g1", { total: 16 * gib, foreign: 0, dirty: false, taken: 0 }],
  ])
  readonly runners = new Set<Runner>()
  /** Runners whose memory the driver is still releasing. */
  readonly lagging = new Set<Runner>()
  readonly held = new Map<string, number>()
  readonly pinned = new Map<string, number>()
  probe: "good" | "fails" | "hangs" | "none" | "missing" | "slow" = "good"
  loadFails = false
  psFails = false
  lagMillis = 300
  /** Violations of invariants. They are collected, because a failed assertion would only end a fiber. */
  readonly violations: Array<string> = []
  intrusions = 0
  commits = 0
  /** Commits of models that fit on no backend. */
  wholes = 0
  unloads = 0
  loads = 0
  ledger: VramLedger["Service"] | undefined
  /** Readings that have begun. */
  private reads = 0
  /** The last reading that showed the free memory of all devices, by when it began. */
  private shownBy = -1
  /** Devices that the last answer of the probe did not list beside the others. */
  private readonly unlisted = new Set<string>()
  /** Allocations of models that fit on no backend. */
  private readonly whole = new WeakSet<Allocation>()
  /**
   * For each allocation, the devices whose last reading showed everything that other programs took, and how often they
   * had taken some.
   */
  private readonly quiet = new WeakMap<Allocation, ReadonlyMap<string, number>>()

  /** `largest` is the size of `q` in GiB. */
  constructor(largest: number) {
    this.sizes = { ...sizes, "q:latest": largest }
  }

  private expect(holds: boolean, what: string): void {
    if (!holds) this.violations.push(what)
  }

  used(device: string): number {
    let sum = this.devices.get(device)!.foreign
    for (const one of [...this.runners, ...this.lagging]) {
      for (const share of one.shares) if (share.device === device) sum += share.bytes * (one.loading ? 0.5 : 1)
    }
    return sum
  }

  /** Bytes as if every load under way had ended. */
  promised(device: string): number {
    let sum = this.devices.get(device)!.foreign
    for (const one of [...this.runners, ...this.lagging]) {
      const part = this.lagging.has(one) && one.loading ? 0.5 : 1
      for (const share of one.shares) if (share.device === device) sum += share.bytes * part
    }
    return sum
  }

  drop(runner: Runner): Effect.Effect<void> {
    if (!this.runners.delete(runner)) return Effect.void
    this.lagging.add(runner)
    return Effect.asVoid(
      Effect.forkDetach(Effect.andThen(Effect.sleep(this.lagMillis), Effect.sync(() => this.lagging.delete(runner)))),
    )
  }

  crash(backend: string): void {
    for (const runner of this.runners) if (runner.backend === backend && !runner.loading) this.runners.delete(runner)
  }

  /**
   * Where Ollama puts a model: on the device with the most free memory if it takes at most 80 % of that, else over all
   * devices.
   */
  private place(backend: string, bytes: number): ReadonlyArray<Share> {
    const free = (device: string) => Math.max(0, this.devices.get(device)!.total - this.used(device))
    const devices = backends.find(({ id }) => id === backend)!.devices
    const most = devices.reduce((best, device) => free(device) > free(best) ? device : best)
    // The part that does not fit goes into system memory.
    if (devices.length === 1 || bytes <= 0.8 * free(most)) return [{ device: most, bytes: Math.min(bytes, free(most)) }]
    const whole = Math.max(bytes, devices.reduce((sum, device) => sum + free(device), 0))
    return devices.map((device) => ({ device, bytes: bytes * free(device) / whole }))
  }

  /** Another program takes memory. */
  take(uuid: string): void {
    const device = this.devices.get(uuid)!
    device.dirty = true
    device.taken++
  }

  /** A load that the router did not ask for. The router does not learn on which device it is. */
  intrude(backend: string, model: string): void {
    if (this.find(backend, model) !== undefined) return
    const shares = this.place(backend, this.sizes[model]! * gib)
    if (shares.some(({ bytes, device }) => this.promised(device) + bytes > this.devices.get(device)!.total)) return
    for (const { device } of shares) this.take(device)
    this.intrusions++
    this.runners.add({ backend, model, shares, size: this.sizes[model]! * gib, managed: false, loading: false })
  }

  find(backend: string, model: string): Runner | undefined {
    for (const runner of this.runners) if (runner.backend === backend && runner.model === model) return runner
    return undefined
  }

  /** An answer of the probe arrives, in the order in which answers end. An older one changes nothing. */
  private arrives(begun: number, unlisted: ReadonlyArray<string>, shows: boolean): void {
    if (begun < this.shownBy) return
    if (shows) this.shownBy = begun
    this.unlisted.clear()
    for (const uuid of unlisted) this.unlisted.add(uuid)
  }

  /** A router that starts anew has no reading. */
  private starts(): void {
    this.shownBy = -1
    this.unlisted.clear()
  }

  private read() {
    return Effect.suspend(() => {
      const begun = this.reads++
      if (this.probe === "hangs") return Effect.never
      if (this.probe === "fails") {
        return Effect.fail(new GpuProbeError({ source: "world", reason: new Timeout({ description: "no" }) }))
      }
      const devices = Array.from(this.devices).flatMap(([uuid, device]) => {
        if (this.probe === "missing" && uuid === "g1") return []
        const free = Math.max(0, device.total - this.used(uuid))
        if (this.probe === "none") {
          return [{ ...unknown(uuid, uuid, "gpu"), total: Option.some(ByteSize.bytes(device.total)) }]
        }
        if (this.probe === "good") device.dirty = false
        return [{
          ...unknown(uuid, uuid, "gpu"),
          total: Option.some(ByteSize.bytes(device.total)),
          free: Option.some(ByteSize.bytes(Math.floor(free))),
        }]
      })
      const answer = { source: "world", passedOver: [], devices }
      const unlisted = this.probe === "missing" ? ["g1"] : []
      const shows = this.probe === "good" || this.probe === "slow"
      // The answer shows the state before the delay, not what happens during it.
      if (this.probe !== "slow") {
        this.arrives(begun, unlisted, shows)
        return Effect.succeed(answer)
      }
      const unseen = new Map(Array.from(this.devices, ([uuid, { foreign }]) => [uuid, `${foreign} ${this.intrusions}`]))
      return Effect.delay(
        Effect.sync(() => {
          this.arrives(begun, unlisted, shows)
          for (const [uuid, device] of this.devices) {
            if (unseen.get(uuid) === `${device.foreign} ${this.intrusions}`) device.dirty = false
          }
          return answer
        }),
        1600,
      )
    })
  }

  readonly probeLayer = Layer.sync(GpuProbe, () => {
    this.starts()
    return { source: "world", read: this.read() }
  })

  /** The devices of a backend that get models: those that the probe lists, or all of them if it lists none. */
  private usable(backend: string): ReadonlyArray<string> {
    const { devices } = backends.find(({ id }) => id === backend)!
    const listed = devices.filter((device) => !this.unlisted.has(device))
    return listed.length > 0 ? listed : devices
  }

  /** Whether a model is too large for the empty devices of every backend. Ollama then spills a part of it. */
  private fitsNowhere(model: string): boolean {
    return backends.every(({ id }) => {
      const limits = this.usable(id).map((device) => this.devices.get(device)!.total - reserve)
      return this.sizes[model]! * gib > limits.reduce((sum, limit) => sum + limit, 0)
    })
  }

  private readonly rejected = (backend: string, call: string) =>
    new OllamaApiError({ backend, call, reason: new Rejected({ status: 500, description: "no" }) })

  private readonly load = (backend: string, model: string) =>
    Effect.gen({ self: this }, function* () {
      this.loads++
      // Invariant 8: at most one load of a model on a backend, on a backend, and on each device.
      const allocation = this.ledger!.allocations().find((one) =>
        one.backend === backend && one.model === model && one.state() === "loading"
      )
      this.expect(allocation !== undefined, "a load without an allocation")
      const managed = (allocation?.shares() ?? []).length > 0
      // A model that is in memory stays as it is. Its charge is a little more than it takes.
      const before = this.find(backend, model)
      if (before !== undefined) yield* this.drop(before)
      const shares = this.place(backend, this.sizes[model]! * gib * 0.97)
      const known = allocation === undefined ? undefined : this.quiet.get(allocation)
      // Where other programs took memory that no reading has shown yet, the placement cannot be known.
      const quiet = managed && backends.find(({ id }) => id === backend)!.devices.every((device) =>
        known?.get(device) === this.devices.get(device)!.taken
      )
      for (const { bytes, device } of shares) {
        const { total } = this.devices.get(device)!
        // Over several devices llama.cpp fills each to the same share, and so uses the reserve of the fullest. Of a
        // model that does not fit it puts as many layers on the devices as they hold, and so uses their reserve too.
        const limit = shares.length > 1 || this.whole.has(allocation!) ? total : total - reserve
        if (quiet) this.expect(this.promised(device) + bytes <= limit + 1, `bytes loaded on ${device}`)
      }
      for (const other of this.runners) {
        if (!other.loading) continue
        this.expect(other.backend !== backend, "two loads on a backend")
        for (const { device } of managed && other.managed ? shares : []) {
          this.expect(!other.shares.some((share) => share.device === device), `two loads on ${device}`)
        }
      }
      const size = this.sizes[model]! * gib * 0.97
      const runner: Runner = { backend, model, shares, size, managed, loading: true }
      this.runners.add(runner)
      yield* Effect.sleep(1500).pipe(Effect.onInterrupt(() => Effect.sync(() => this.runners.delete(runner))))
      if (this.loadFails) {
        yield* this.drop(runner)
        return yield* this.rejected(backend, "load")
      }
      runner.loading = false
    })

  private readonly unload = (backend: string, model: string) =>
    Effect.gen({ self: this }, function* () {
      this.unloads++
      // Invariant 3: never a busy, pinned or loading model.
      this.expect((this.held.get(`${backend} ${model}`) ?? 0) === 0, "unloaded while busy")
      this.expect((this.pinned.get(`${backend} ${model}`) ?? 0) === 0, "unloaded while pinned")
      const runner = this.find(backend, model)
      this.expect(runner?.loading !== true, "unloaded while loading")
      if (runner !== undefined) yield* this.drop(runner)
    })

  readonly apiLayer = Layer.effect(
    OllamaApi,
    Effect.map(Clock.Clock, (clock) =>
      OllamaApi.of({
        version: () => Effect.succeed("0.33.0"),
        tags: () => Effect.succeed([]),
        show: () => Effect.succeed({}),
        ps: ({ id }) =>
          this.psFails
            ? Effect.fail(this.rejected(id, "ps"))
            : Effect.sync(() =>
              Array.from(this.runners).filter(({ backend, loading }) => backend === id && !loading).map(
                ({ model, shares, size }) => {
                  const vram = Math.floor(shares.reduce((sum, { bytes }) => sum + bytes, 0))
                  const expires = new Date(clock.currentTimeMillisUnsafe() + 10 ** 9).toISOString()
                  return {
                    name: model,
                    model,
                    size: Math.max(vram, Math.floor(size)),
                    size_vram: vram,
                    digest: model,
                    expires_at: expires,
                    context_length: 4096,
                  }
                },
              )
            ),
        load: ({ id }, model) => this.load(id, model),
        unload: ({ id }, model) => this.unload(id, model),
      })),
  )

  /**
   * A model is charged what it needs. Only a model that fits on no backend is charged all that is left of its devices,
   * and only if nothing else is charged there.
   */
  private checkedSize(ledger: VramLedger["Service"], made: Allocation): void {
    const charged = made.shares().reduce((sum, { bytes }) => sum + bytes, 0)
    if (!this.fitsNowhere(made.model)) {
      return this.expect(charged === this.sizes[made.model]! * gib, "a charge of its size")
    }
    this.wholes++
    this.whole.add(made)
    const devices = this.usable(made.backend)
    for (const other of ledger.allocations()) {
      if (other === made) continue
      const beside = other.shares().find(({ device }) => devices.includes(device))
      this.expect(beside === undefined, `charged beside a model that fits nowhere: ${beside?.device}`)
    }
    const capacity = (of: string) => ledger.devices().find(({ device }) => device === of)!.capacity!
    const all = devices.reduce((sum, device) => sum + Math.max(0, Math.floor(capacity(device))), 0)
    this.expect(charged === all, "a model that fits nowhere is not charged whole devices")
  }

  /** Invariant 1, computed from the model's own figures whenever the ledger promises something. */
  private checked(ledger: VramLedger["Service"], made: Allocation): void {
    this.commits++
    const quiet = Array.from(this.devices).filter(([, { dirty }]) => !dirty)
    this.quiet.set(made, new Map(quiet.map(([uuid, { taken }]) => [uuid, taken])))
    this.checkedSize(ledger, made)
    for (const { bytes, device } of made.shares()) {
      const known = this.devices.get(device)!
      const sum = ledger.allocations().reduce(
        (all, one) => all + one.shares().reduce((part, share) => part + (share.device === device ? share.bytes : 0), 0),
        0,
      )
      this.expect(sum <= known.total - reserve + 1, `allocations on ${device}`)
      const capacity = ledger.devices().find((one) => one.device === device)!.capacity
      this.expect(sum <= capacity! + 1, `allocations on ${device} against its capacity`)
      // The free memory of a reading, minus what was promised since, is what is free now, unless other programs took
      // some since.
      const many = backends.find(({ id }) => id === made.backend)!.devices.length > 1
      if (!known.dirty && !many) {
        this.expect(this.promised(device) + bytes <= known.total - reserve + 1, `bytes on ${device}`)
      }
    }
  }

  readonly watched = Layer.effect(
    VramLedger,
    Effect.map(VramLedger, (ledger) => {
      this.ledger = ledger
      return {
        ...ledger,
        reserve: (backend, model, numCtx) => {
          const made = ledger.reserve(backend, model, numCtx)
          if (!("_tag" in made) && ledger.managed(backend)) this.checked(ledger, made)
          return made
        },
      }
    }),
  )
}
