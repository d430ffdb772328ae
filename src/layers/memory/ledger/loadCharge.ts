/**
 * How many bytes a load is charged, and what is learned from the memory that it took.
 *
 * @since 0.1.0
 */
import { type Backend, loadsAlike, onCpu } from "../../../services/Fleet.ts"
import { type Footprint, type ModelFootprints, type RunShape, shapeOn } from "../../../services/Footprint.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { Observed } from "../../../services/VramLedger.ts"
import { allowedContext, automaticContext } from "./automaticContext.ts"
import type { ChargedAllocation } from "./chargedAllocation.ts"
import type { Devices } from "./devices.ts"
import { batchWithout, flashAttentionOf } from "./flashAttention.ts"
import { SweptMap } from "../../../support/sweptMap.ts"

/**
 * The charge for a model whose footprint is not known: 125 % of its file, and 2 GiB for cache and buffers. This is an
 * assumption on the safe side.
 */
const chargeByFile = (size: number): number | undefined => size > 0 ? size * 1.25 + 2 * 1024 ** 3 : undefined

/** Bytes on the devices of the backend, of which system memory may be one. @category conversions @since 0.1.0 */
export const bytesOn = (backend: Backend, { size, sizeVram }: Observed): number => onCpu(backend) ? size : sizeVram

const isSpilled = (backend: Backend, { size, sizeVram }: Observed): boolean => sizeVram < size && !onCpu(backend)

/** Memory of the process on each device, where the footprint does not say it. More than was measured. */
const overheadMax = 1024 ** 3

const overheadOf = (footprint: Footprint | undefined, devices: number): number =>
  footprint?.parts?.overhead ?? overheadMax * Math.max(1, devices)

/** The context that a backend chose by itself, as `/api/ps` showed it, and what the backend was then. */
interface Chosen {
  readonly on: Backend
  readonly tokens: number
}

/** @category models @since 0.1.0 */
export class LoadCharges {
  readonly footprints: ModelFootprints["Service"]
  readonly devices: Devices
  /** The contexts that backends chose by themselves, by backend and model. */
  private readonly contexts = new SweptMap<Chosen>()

  constructor(footprints: ModelFootprints["Service"], devices: Devices) {
    this.footprints = footprints
    this.devices = devices
  }

  /** The shape of a run over `devices` devices; over none in system memory. */
  private shape(backend: Backend, model: Model, context: number, devices: number): RunShape {
    const labelled = shapeOn(backend, { context, ...(onCpu(backend) ? {} : { devices }) })
    if (labelled.flashAttention !== "auto" || labelled.devices === 0) return labelled
    const flashAttention = flashAttentionOf(this.devices.of(backend))
    if (flashAttention !== "off") return { ...labelled, flashAttention }
    const geometry = this.footprints.geometry(model, backend)
    const chosen = geometry?.embedder === true || geometry?.batch !== undefined
    return { ...labelled, flashAttention, ...(chosen ? {} : { batch: batchWithout }) }
  }

  private trained(backend: Backend, model: Model): number | undefined {
    return this.footprints.geometry(model, backend)?.contextTrained ?? model.contextTrained
  }

  /** The context that the backend would choose by itself. */
  context(backend: Backend, model: Model): number | undefined {
    const chosen = this.contexts.get(`${backend.id} ${model.key}`)
    // With other devices or labels it may choose another one.
    if (chosen !== undefined && loadsAlike(chosen.on, backend)) return chosen.tokens
    return automaticContext(backend, this.devices.of(backend), this.trained(backend, model))
  }

  /** Bytes that a load over `devices` devices is charged. */
  of(backend: Backend, model: Model, numCtx: number | undefined, devices: number): number | undefined {
    const tokens = allowedContext(numCtx ?? this.context(backend, model), this.trained(backend, model))
    const known = tokens === undefined
      ? undefined
      : this.footprints.of(model, backend, this.shape(backend, model, tokens, devices))
    return known?.reserve ?? chargeByFile(model.owners.get(backend.id)?.size ?? 0)
  }

  /** Takes in the memory that `/api/ps` shows for an allocation. */
  observe(allocation: ChargedAllocation, backend: Backend, model: Model | undefined, observed: Observed): void {
    const bytes = bytesOn(backend, observed)
    if (bytes === 0) return
    allocation.observed = bytes
    const tokens = allowedContext(observed.contextLength, undefined)
    if (observed.automatic && tokens !== undefined) {
      this.contexts.set(`${backend.id} ${allocation.model}`, { on: backend, tokens })
    }
    if (model === undefined || tokens === undefined) {
      return allocation.resize(Math.max(allocation.bytes, bytes))
    }
    const devices = allocation.shares().length
    const shape = this.shape(backend, model, tokens, devices)
    const { after } = this.footprints.learn(model, backend, shape, { size: observed.size, sizeVram: observed.sizeVram })
    const known = after ?? this.footprints.of(model, backend, shape)
    if (isSpilled(backend, observed)) {
      // What is in system memory is not charged. The devices hold what `/api/ps` shows, and the process itself.
      return allocation.resize(Math.max(bytes, Math.min(bytes + overheadOf(known, devices), this.total(backend))))
    }
    allocation.resize(Math.max(bytes, known?.reserve ?? allocation.bytes))
  }

  /** Bytes of all devices of a backend. */
  private total(backend: Backend): number {
    return this.devices.of(backend).reduce((sum, { declared, total }) => sum + (total ?? declared ?? Infinity), 0)
  }
}
