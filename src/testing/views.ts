/**
 * Views of backends, as plugins get them.
 *
 * @since 0.1.0
 */
import { backend } from "../services/Fleet.ts"
import type { BackendView, FleetView } from "../services/FleetView.ts"

/** A healthy, idle backend with every model in memory. @category constructors @since 0.1.0 */
export const viewOf = (id: string, options?: Partial<BackendView>): BackendView => ({
  backend: backend({ url: `http://${id}:11434`, id }),
  member: "active",
  health: "healthy",
  streams: 0,
  streamsOf: () => 0,
  limitOf: () => 1,
  serviceMillisOf: () => undefined,
  residency: () => "resident",
  breaker: () => "closed",
  owns: (model) => model.owners.has(id),
  memory: () => undefined,
  loadMillis: () => 2000,
  firstByteMillis: undefined,
  lastLeaseAt: 0,
  ...options,
})

/** A fleet of these views. An id stands for `viewOf(id)`. @category constructors @since 0.1.0 */
export const fleetOf = (backends: ReadonlyArray<string | BackendView>): FleetView => {
  const views = backends.map((one) => typeof one === "string" ? viewOf(one) : one)
  return {
    backends: views,
    owners: (model) => views.filter((view) => view.owns(model)),
    find: (id) => views.find((view) => view.backend.id === id),
  }
}
