/**
 * All circuits of a process: one for each backend, and one for each model on it.
 *
 * @since 0.1.0
 */
import type { BreakerKey } from "../../services/Breaker.ts"
import { Circuit, type Policy } from "./Circuit.ts"
import { SweptMap } from "../../support/sweptMap.ts"

/** The circuits of one backend. @category models @since 0.1.0 */
export interface BackendCircuits {
  readonly backend: Circuit
  readonly models: SweptMap<Circuit>
}

/** Whether a circuit that nobody uses may be forgotten. Nobody may miss an opening, or what an operator holds out. */
const isIdle = ({ followed, state, trialTaken }: Circuit): boolean =>
  !followed && (state === "closed" || (state === "half-open" && !trialTaken))

/**
 * Makes a circuit when its key is first used, and forgets those of backends that have left and models that are gone.
 *
 * @category models
 * @since 0.1.0
 */
export class CircuitTable {
  private readonly policy: Policy
  private readonly backends = new SweptMap<BackendCircuits>({
    sweepAt: 64,
    isIdle: ({ backend, models }) => isIdle(backend) && Array.from(models.values()).every(isIdle),
  })

  constructor(policy: Policy) {
    this.policy = policy
  }

  /** The circuits of a backend, `undefined` if none of its keys was used yet. */
  find(backend: string): BackendCircuits | undefined {
    return this.backends.get(backend)
  }

  of(backend: string): BackendCircuits {
    let circuits = this.backends.get(backend)
    if (circuits === undefined) {
      circuits = { backend: new Circuit({ backend }, this.policy), models: new SweptMap({ sweepAt: 64, isIdle }) }
      this.backends.set(backend, circuits)
    }
    return circuits
  }

  ofModel(circuits: BackendCircuits, model: string): Circuit {
    let circuit = circuits.models.get(model)
    if (circuit === undefined) {
      circuit = new Circuit({ backend: circuits.backend.key.backend, model }, this.policy)
      circuits.models.set(model, circuit)
    }
    return circuit
  }

  byKey({ backend, model }: BreakerKey): Circuit {
    const circuits = this.of(backend)
    return model === undefined ? circuits.backend : this.ofModel(circuits, model)
  }

  *all(): Iterable<Circuit> {
    for (const { backend, models } of this.backends.values()) {
      yield backend
      yield* models.values()
    }
  }
}
