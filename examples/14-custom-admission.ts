/** An admission of your own: the latest request is admitted first. `node examples/14-custom-admission.ts` */
import { Effect, Layer } from "effect"
import { Admission, QueuedAdmission } from "llamero"
import { AdmissionContract, violations } from "llamero/testing"

/** Last in, first out. When the queue is full, the oldest request is shed. */
const lastInFirstOut = (): QueuedAdmission.Queue => {
  const stack: Array<QueuedAdmission.Waiter> = []
  return {
    add: (waiter) => stack.unshift(waiter),
    remove: (waiter) => stack.splice(stack.indexOf(waiter), 1),
    order: () => stack.slice(),
    displaced: () => stack.at(-1),
  }
}
// To use it in a router: `Standard.layer({ admission: layer })`.
const layer = Layer.effect(Admission.Admission, QueuedAdmission.make({ queue: lastInFirstOut, queueCapacity: 4 }))
const found = await Effect.runPromise(violations(AdmissionContract.contract(layer)))
console.log(found.length === 0 ? "ok: passes AdmissionContract" : found)
