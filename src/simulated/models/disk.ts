/**
 * The disk of a simulated server: models by name, uploaded blobs by digest. It outlives the server's process.
 *
 * @since 0.1.0
 */
import type { SimulatedModel } from "./simulatedModel.ts"
import { parseName, readName } from "./names.ts"

/**
 * Models and blobs.
 *
 * @category models
 * @since 0.1.0
 */
export class Disk {
  readonly #models: Map<string, SimulatedModel> = new Map()
  readonly blobs: Map<string, Uint8Array> = new Map()

  constructor(models: ReadonlyArray<SimulatedModel>) {
    for (const model of models) this.put(model)
  }

  put(model: SimulatedModel): void {
    this.#models.set(parseName(model.name)?.key ?? model.name, model)
  }

  /** The model with a name, in any spelling. A name with a cloud source is that of no model here. */
  find(spelled: string): SimulatedModel | undefined {
    const name = readName(spelled)
    return "key" in name && !name.cloud ? this.#models.get(name.key) : undefined
  }

  /** The model with a name that has no source suffix. */
  get({ key }: { readonly key: string }): SimulatedModel | undefined {
    return this.#models.get(key)
  }

  remove(model: SimulatedModel): void {
    this.#models.delete(parseName(model.name)?.key ?? model.name)
  }

  /** Latest first, as `/api/tags` lists them. */
  get list(): ReadonlyArray<SimulatedModel> {
    return Array.from(this.#models.values()).sort((a, b) => b.modifiedAt - a.modifiedAt)
  }
}
