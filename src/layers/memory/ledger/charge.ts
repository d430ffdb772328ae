/**
 * What a load is charged, and what is learned from what loads took.
 *
 * @since 0.1.0
 */
import { type Backend, onCpu } from "../../../services/Fleet.ts"
import { type ModelFootprints, type RunShape, shapeOn } from "../../../services/Footprint.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { Observed } from "../../../services/VramLedger.ts"
import { automaticContext, sane } from "./automaticContext.ts"
import type { ChargedAllocation } from "./chargedAllocation.ts"
import type { Devices } from "./devices.ts"

/** Charged for a model that could not be described: its file and a quarter, and 2 GiB for the rest; an assumption on the careful side. */
const undescribed = (size: number): number | undefined => size > 0 ? size * 1.25 + 2 * 1024 ** 3 : undefined

/** Over so many devices; none where it runs in system memory. */
const shape = (backend: Backend, context: number, devices: number): RunShape =>
  shapeOn(backend, { context, ...(onCpu(backend) ? {} : { devices }) })

/** Bytes on the devices that the backend has: system memory is one. */
export const bytesOn = (backend: Backend, { size, sizeVram }: Observed): number => onCpu(backend) ? size : sizeVram

/** @category models @since 0.1.0 */
export class Charges {
  readonly footprints: ModelFootprints["Service"]
  readonly devices: Devices
  /** The context that backends chose by themselves, as `/api/ps` showed it. */
  private readonly contexts = new Map<string, number>()

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

  /** Bytes, over so many devices. */
  of(backend: Backend, model: Model, numCtx: number | undefined, devices: number): number | undefined {
    const tokens = sane(numCtx ?? this.context(backend, model), this.trained(backend, model))
    const known = tokens === undefined ? undefined : this.footprints.of(model, backend, shape(backend, tokens, devices))
    return known?.reserve ?? undescribed(model.owners.get(backend.id)?.size ?? 0)
  }

  /** `/api/ps` showed what an allocation has really taken. */
  observe(allocation: ChargedAllocation, backend: Backend, model: Model | undefined, observed: Observed): void {
    const bytes = bytesOn(backend, observed)
    if (bytes === 0) return
    allocation.observed = bytes
    const tokens = sane(observed.contextLength, undefined)
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
