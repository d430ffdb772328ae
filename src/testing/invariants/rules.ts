/** The invariants by number: a short name, and the rule in words. */
export const rules: ReadonlyArray<readonly [name: string, rule: string]> = [
  ["log", "the router logs no error"],
  ["memory", "allocations never exceed the capacity of a device"],
  ["leases", "each lease and permit is released, once"],
  ["unloads", "a busy, pinned or loading model is not unloaded"],
  ["queues", "queues keep to their bounds, and every request gets one answer"],
  ["attempts", "a request is not sent again after a byte of its answer was passed on"],
  ["breaking", "an open breaker lets nothing through, and a half-open one a single trial"],
  ["bytes", "a stream is whole, or says that it is not"],
  ["loads", "loads on one backend or device run one after the other"],
  ["fairness", "tenants of one class take turns"],
  ["trace", "the same seed gives the same history"],
]
