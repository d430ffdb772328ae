/** Every way in which a request ends, in words. */
import { assert, describe, it } from "@effect/vitest"
import { why } from "../../../src/layers/routes/DecisionWords.ts"
import type { Step } from "../../../src/services/Decisions.ts"
import { type RefusalReason, refuse } from "../../../src/services/Refusal.ts"
import { candidate, decision, placed } from "../../support/placed.ts"

const all = (...args: Parameters<typeof decision>): string => {
  const { sentences, summary } = why(decision(...args))
  for (const sentence of [summary, ...sentences]) {
    assert.match(sentence, /^[A-Z\d`].*\.$|^[a-z][\w:.-]* (had|answered) .*\.$/, "a sentence")
    assert.notMatch(sentence, /undefined|NaN|\[object|\.\.$/, sentence)
  }
  return [summary, ...sentences].join("\n")
}

describe("an answer in words", () => {
  it("says who answered, how long it took, and where the time went", () => {
    assert.deepStrictEqual(why(decision()), {
      id: "r",
      summary: "a answered the request for m:latest with 200 after 1.25 s.",
      sentences: [
        "The request went to a, the only candidate.",
        "Of 1.25 s, 0 ms were before the attempt, 250 ms until its first byte and 1 s for the rest of the answer.",
        "Most of it was the answer.",
      ],
    })
  })

  it("says what a slow answer was slow in", () => {
    const slow = (queuedMillis: number, firstByteMillis: number, cold = false) =>
      all({
        totalMillis: 10_000,
        cold,
        settled: { queuedMillis, outcome: { kind: "success", cause: "ok", firstByteMillis } },
      })
    assert.match(slow(9000, 500), /It waited 9 s before its last attempt began[\s\S]*waiting and earlier attempts/)
    assert.match(slow(9000, 500, true), /waited for a load of its model[\s\S]*waiting and loading the model/)
    assert.match(slow(0, 9000), /waiting for the first byte, while the backend read the prompt/)
    assert.match(slow(0, 100), /Most of it was the answer/)
    assert.notMatch(all({ totalMillis: 5 }), /Most of it/)
  })

  it("says why one backend was taken and not another", () => {
    const chosen = placed({
      candidates: [
        candidate("b", { total: 1.9, scores: { resident: 1, "least-busy": 0.9 }, streams: 8 }),
        candidate("a", { total: 1.5, scores: { resident: 1, "least-busy": 0.5 } }),
        candidate("c", { total: 0.2, scores: { resident: 0 } }),
        candidate("d", { droppedBy: "healthy", health: "unhealthy" }),
        candidate("e", { droppedBy: "healthy", member: "draining" }),
        candidate("f", { droppedBy: "zone" }),
      ],
      without: 2,
    })
    const words = all({}, [chosen])
    assert.include(words, "The request went to a with the scores 1.5 (resident 1, least-busy 0.5).")
    assert.include(words, "b had more, 1.9 (resident 1, least-busy 0.9), but it served 8 requests, all that it may.")
    assert.include(words, "The others: c 0.2 (resident 0).")
    assert.include(words, "d was left out because it was unhealthy")
    assert.include(words, "e was left out because it was draining")
    assert.include(words, "the filter zone dropped f")
    assert.include(words, "2 backends do not have the model.")
    const best = placed({ candidates: [candidate("a", { total: 2 }), candidate("b")] })
    assert.include(all({}, [best]), "whose scores had the highest sum: 2 (resident 1)")
    const picked = placed({ candidates: [candidate("b", { total: 2 }), candidate("a")] })
    assert.include(all({}, [picked]), "the picker chose another one, or it gave no lease")
  })

  it("says why it had to wait", () => {
    const excuses = [
      [{ streamsOfModel: 1 }, "a served 1 requests of the model, all that it may"],
      [{ residency: "loading" }, "a was loading the model"],
      [{ residency: "draining" }, "a was about to unload the model"],
      [{ residency: "absent" }, "a did not have the model in memory"],
      [{ residency: "absent", loadFailure: "no memory" }, "a had failed to load the model a moment before: no memory"],
      [{ serves: false }, "a had the model in memory with another context length"],
      [{ breaker: "open" }, "a has a breaker that is open"],
      [{ breaker: "half-open" }, "a had no free slot on its GPU, or its breaker took no trial"],
    ] as const
    for (const [fields, words] of excuses) {
      const waits = placed({ answer: "wait", took: undefined, waiting: 3, candidates: [candidate("a", fields)] })
      assert.include(all({}, [waits, placed()]), `It had to wait as one of 3: ${words}.`)
    }
    const loads = placed({ answer: "loading", took: undefined, candidates: [candidate("a", { residency: "loading" })] })
    assert.include(all({ cold: true }, [loads]), "It had to wait for a load of the model: a was loading the model.")
    const many = Array.from({ length: 8 }, (_, i) => candidate(`n${i}`, { streams: 9 }))
    assert.match(all({}, [placed({ answer: "wait", took: undefined, candidates: many })]), /n4 served .* and 3 more\./)
  })

  it("says that it was not recorded why a request was placed", () =>
    assert.match(all({}, []), /was not recorded: the router records only some placements/))

  it("says what was tried before, and how it failed", () => {
    const causes = {
      refused: "refused the connection",
      "connect-timeout": "no connection could be made",
      reset: "closed the connection before",
      "reset-midway": "in the middle of its answer",
      "first-byte-timeout": "time limit for the first byte",
      "gap-timeout": "stopped in the middle",
      "http-500": "it answered 500",
      "http-503": "it was busy",
      "http-429": "it was busy",
      "not-offered": "does not have this path",
      "something-new": "it ended as something-new",
    }
    for (const [cause, words] of Object.entries(causes)) {
      const failed: Step = { _tag: "AttemptFailed", at: 0, id: "r", backend: "b", cause }
      const again = placed({ attempt: 2, candidates: [candidate("a"), candidate("b", { droppedBy: "already-tried" })] })
      const told = all({ settled: { attempts: 2 } }, [placed({ took: "b" }), failed, again])
      assert.match(told, new RegExp(`The attempt on b failed: .*${words}`))
      assert.include(told, "Attempt 2 went to a, the only candidate.")
      assert.include(told, "b was left out because an attempt had failed on it")
    }
  })

  it("tells of second attempts beside a slow one, and of a shadow", () => {
    const hedge = (result: "won" | "lost" | "failed" | "canceled" | "nowhere" | "over-budget", words: string) => {
      const step: Step = {
        ...{ _tag: "Hedged", at: 0, id: "r", model: "m", first: "a", aborted: undefined, result },
        second: result === "nowhere" || result === "over-budget" ? undefined : "b",
      }
      assert.include(all({}, [placed(), step]), words)
    }
    hedge("won", "made on b, which answered first")
    hedge("lost", "but a answered first")
    hedge("failed", "made on b, which failed")
    hedge("canceled", "the client left during both")
    hedge("nowhere", "no other backend had the model in memory")
    hedge("over-budget", "the budget of retries was used up")
    const shadow = (result: "same" | "different" | "failed", would?: string): Step => ({
      ...{ _tag: "Shadowed", at: 0, id: "r", model: "m", shadow: "new", took: "a", would, result },
    })
    assert.include(all({}, [shadow("same", "a")]), "new, which only watches, would have done the same")
    assert.include(all({}, [shadow("different", "b")]), "would have chosen b")
    assert.include(all({}, [shadow("different")]), "would have chosen no backend")
    assert.include(all({}, [shadow("failed")]), "new, which only watches, failed")
  })

  it("tells of shared calls and of fields that were not passed on", () => {
    const identical = all({ settled: { coalesced: "identical", attempts: 0 } }, [])
    assert.include(identical, "The call of another request answered")
    assert.include(identical, "An identical request was under way")
    assert.notInclude(identical, "recorded")
    assert.include(all({ settled: { coalesced: "batch", attempts: 0 } }, []), "sent in one call")
    assert.include(
      all({ rewrote: ["num_ctx", "keep_alive"] }),
      "Not passed on as the client sent it: num_ctx, keep_alive.",
    )
  })

  it("tells of answers that are errors of the backend, or not complete", () => {
    const ended = (status: number, cause: string) => all({ settled: { status, outcome: { kind: "ignored", cause } } })
    assert.include(ended(400, "http-400"), "with 400 after 1.25 s; it answered 400.")
    assert.include(ended(500, "http-500-client"), "the request was the cause")
    assert.include(ended(200, "truncated"), "ended without its last record")
    assert.include(ended(200, "error-record"), "ended in an error")
    assert.include(ended(200, "client-stalled"), "the client stopped reading")
    assert.include(ended(200, "total-timeout"), "took longer than the limit")
    assert.include(ended(200, "gap-timeout"), "stopped in the middle")
    assert.include(all({ settled: { backend: undefined, attempts: 0, outcome: undefined } }, []), "The router answered")
  })
})

describe("a refusal in words", () => {
  const reasons: Readonly<Record<RefusalReason, RegExp>> = {
    BadRequest: /does not fit the model/,
    Unauthorized: /no valid API key/,
    Forbidden: /not allowed/,
    ModelNotFound: /no backend has the model/,
    MethodNotAllowed: /does not take this method/,
    BodyTooLarge: /above the limit/,
    UnsupportedEncoding: /cannot decompress/,
    RateLimited: /had reached its limit/,
    QueueFull: /because of load\. Nothing was sent/,
    NoBackend: /no backend could serve it/,
    Draining: /was shutting down/,
    DeadlineExceeded: /its time was over/,
    LoadFailed: /could not be loaded/,
    BackendFailed: /the backend failed/,
    Internal: /fault of its own or of a plugin/,
  }
  for (const [reason, words] of Object.entries(reasons) as ReadonlyArray<[RefusalReason, RegExp]>) {
    it(reason, () => {
      const refusal = refuse(reason, "these are the words for the client", { retryAfter: 7 })
      const settled = { result: "refused", status: refusal.status, refusal, backend: undefined, attempts: 0 } as const
      const told = all({ settled: { ...settled, outcome: undefined } }, [])
      assert.include(told, `was refused with ${refusal.status} after 1.25 s: these are the words for the client.`)
      assert.match(told, words)
      assert.include(told, "It was told to come again in 7 s.")
    })
  }

  it("says how full the queue was, what the last attempt came to, and that no backend was a candidate", () => {
    const refusal = refuse("QueueFull", "full", { queue: { depth: 128, waitMillis: 42_000 } })
    const settled = {
      result: "refused",
      status: 503,
      refusal,
      backend: undefined,
      attempts: 0,
      outcome: undefined,
    } as const
    assert.include(all({ settled }, []), "128 requests waited; the expected wait was 42 s.")
    const failed = { ...settled, refusal: refuse("BackendFailed", "failed"), backend: "a", attempts: 1 }
    const last = all({ settled: { ...failed, outcome: { kind: "failure", cause: "reset" } } })
    assert.include(last, "The last attempt: it closed the connection before its answer began.")
    const none = placed({
      answer: "refused",
      took: undefined,
      candidates: [candidate("a", { droppedBy: "healthy", member: "isolated" })],
    })
    const told = all({ settled }, [none])
    assert.include(told, "It was refused: no backend was a candidate.")
    assert.include(told, "a was left out because it was isolated")
  })
})

describe("a client that left, in words", () => {
  it("in the queue, during a load, and during an answer", () => {
    const gone = { result: "canceled", status: 499, outcome: undefined } as const
    const queued = all({ settled: { ...gone, backend: undefined, attempts: 0 } }, [])
    assert.include(queued, "left after 1.25 s, before it was placed.")
    assert.include(queued, "Nothing was sent to a backend.")
    const loading = placed({
      answer: "loading",
      took: undefined,
      candidates: [candidate("a", { residency: "loading" })],
    })
    assert.include(
      all({ cold: true, settled: { ...gone, backend: undefined, attempts: 0 } }, [loading]),
      "load of the model",
    )
    assert.include(all({ settled: { ...gone, backend: "a" } }), "left after 1.25 s, while a worked on it.")
  })
})
