/**
 * On which backends of the fleet a model fits, with nothing else loaded.
 *
 * @since 0.1.0
 */
import { type Backend, type Fleet, onCpu } from "../../../services/Fleet.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import { fitsEmpty } from "./fit.ts"
import type { LoadCharges } from "./loadCharge.ts"

/** The most answers that are kept. Clients choose contexts, so their number has no other bound. */
const answersMax = 1000

/** @category models @since 0.1.0 */
export class Fitting {
  private readonly fleet: Fleet["Service"]
  private readonly charges: LoadCharges
  /** Answers of `somewhere`, for one version of the footprints and one set of members. */
  private readonly answers = new Map<string, boolean>()
  private version = -1
  private members: unknown

  constructor(fleet: Fleet["Service"], charges: LoadCharges) {
    this.fleet = fleet
    this.charges = charges
  }

  /** Whether the model fits on this backend. Where its needs are not known, it counts as fitting. */
  on(backend: Backend, model: Model, numCtx: number | undefined): boolean {
    const { charges } = this
    const devices = charges.devices.usable(backend)
    return charges.of(backend, model, numCtx, 1) === undefined ||
      fitsEmpty(devices, (count) => charges.of(backend, model, numCtx, count) ?? 0)
  }

  /**
   * Whether Ollama would have to put a part of the model into system memory, on this backend and on every other one.
   * System memory itself has nothing to spill into, and neither have devices without memory.
   */
  spills(backend: Backend, model: Model, numCtx: number | undefined): boolean {
    return !onCpu(backend) && !this.on(backend, model, numCtx) &&
      this.charges.devices.sum(backend, "limit") > 0 && !this.somewhere(model, numCtx)
  }

  /** Whether the model fits on a backend that has it, or is there managed by Ollama. */
  private somewhere(model: Model, numCtx: number | undefined): boolean {
    const members = this.fleet.members()
    const version = this.charges.footprints.version()
    if (version !== this.version || members !== this.members || this.answers.size >= answersMax) this.forget()
    this.version = version
    this.members = members
    const key = `${numCtx ?? ""} ${model.key}`
    const known = this.answers.get(key)
    if (known !== undefined) return known
    const answer = members.some(({ backend, state }) =>
      state === "active" && model.owners.has(backend.id) &&
      (!this.charges.devices.managed(backend) || this.on(backend, model, numCtx))
    )
    this.answers.set(key, answer)
    return answer
  }

  /** To be called after memory or contexts have changed. */
  forget(): void {
    this.answers.clear()
  }
}
