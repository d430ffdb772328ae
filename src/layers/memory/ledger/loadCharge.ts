/**
 * How many bytes a load is charged, and what is learned from the memory that it took.
 *
 * @since 0.1.0
 */
import { type Backend, onCpu } from "../../../services/Fleet.ts"
import { type ModelFootprints, type RunShape, shapeOn } from "../../../services/Footprint.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { Observed } from "../../../services/VramLedger.ts"
import { allowedContext, automaticContext } from "./automaticContext.ts"
import type { ChargedAllocation } from "./chargedAllocation.ts"
import type { Devices } from "./devices.ts"
import { SweptMap } from "../../../support/sweptMap.ts"

/**
 * The charge for a model whose footprint is not known: 125 % of its file, and 2 GiB for cache and buffers. This is an
 * assumption on the safe side.
 */
const chargeByFile = (size: number): number | undefined => size > 0 ? size * 1.25 + 2 * 1024 ** 3 : undefined

/** The shape of a run over `devices` devices; over none in system memory. */
const shape = (backend: Backend, context: number, devices: number): RunShape =>
  shapeOn(backend, { context, ...(onCpu(backend) ? {} : { devices }) })

/** Bytes on the devices of the backend, of which system memory may be one. @category conversions @since 0.1.0 */
export const bytesOn = (backend: Backend, { size, sizeVram }: Observed): number => onCpu(backend) ? size : sizeVram

/** @category models @since 0.1.0 */
export class LoadCharges {
  readonly footprints: ModelFootprints["Service"]
  readonly devices: Devices
  /** The contexts that backends chose by themselves, as `/api/ps` showed them. */
  private readonly contexts = new SweptMap<number>()

  constructor(footprints: ModelFootprints["Service"], devices: Devices) {
    this.footprints = footprints
    this.devices = devices
  }

  private trained(backend: Backend, model: Model): number | undefined {
    return this.footprints.geometry(model, backend)?.contextTrained ?? model.contextTrained
  }

  /** The context that the backend would choose by itself. */
  context(backend: Backend, model: Model): number | undefined {
    return this.contexts.get(`${backend.id} ${model.key}`) ??
      automaticContext(backend, this.devices.of(backend), this.trained(backend, model))
  }

  /** Bytes that a load over `devices` devices is charged. */
  of(backend: Backend, model: Model, numCtx: number | undefined, devices: number): number | undefined {
    const tokens = allowedContext(numCtx ?? this.context(backend, model), this.trained(backend, model))
    const known = tokens === undefined ? undefined : this.footprints.of(model, backend, shape(backend, tokens, devices))
    return known?.reserve ?? chargeByFile(model.owners.get(backend.id)?.size ?? 0)
  }

  /** Takes in the memory that `/api/ps` shows for an allocation. */
  observe(allocation: ChargedAllocation, backend: Backend, model: Model | undefined, observed: Observed): void {
    const bytes = bytesOn(backend, observed)
    if (bytes === 0) return
    allocation.observed = bytes
    const tokens = allowedContext(observed.contextLength, undefined)
    if (observed.automatic && tokens !== undefined) this.contexts.set(`${backend.id} ${allocation.model}`, tokens)
    if (model === undefined || tokens === undefined) {
      return allocation.resize(Math.max(allocation.bytes, bytes))
    }
    const { after } = this.footprints.learn(model, backend, shape(backend, tokens, allocation.shares().length), {
      size: observed.size,
      sizeVram: observed.sizeVram,
    })
    allocation.resize(Math.max(bytes, after?.reserve ?? allocation.bytes))
  }
}
