/**
 * What requests tell the residency: that they use a model, wait for it or did not find it.
 *
 * @since 0.1.0
 */
import type { Model } from "../../../services/ModelCatalog.ts"
import type { Pin, Residency } from "../../../services/Residency.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { LoadLoop } from "./loadLoop.ts"

/** @category models @since 0.1.0 */
export type Uses = Pick<Residency["Service"], "hold" | "touch" | "want" | "forget">

/** For a backend that is not in the fleet: there is nothing to release. */
const noPin: Pin = { release: () => {} }

/** @category constructors @since 0.1.0 */
export const make = ({ backends, listeners, nextSeq, now }: Holdings, loop: LoadLoop): Uses => {
  const assume = (held: Held, model: Model): void => {
    if (held.models.assume(model, nextSeq(), now())) listeners.notify(undefined)
  }

  return {
    hold: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return noPin
      assume(held, model)
      const loaded = held.models.find(model)
      if (loaded === undefined) return noPin
      loaded.refs++
      return {
        release: () => {
          held.models.release(loaded)
          loop.rested(held, loaded)
        },
      }
    },
    touch: (backend, model, client) => {
      const held = backends.get(backend)
      if (held === undefined) return
      held.models.used(held.models.find(model)?.key ?? model.key, now(), client)
      assume(held, model)
    },
    want: (backend, model) => {
      const loaded = backends.get(backend)?.models.find(model)
      if (loaded !== undefined) loaded.wantedAt = now()
    },
    forget: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return
      if (held.models.forget(model, nextSeq())) listeners.notify(undefined)
      loop.look()
    },
  }
}
