import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as UnmanagedVramLedger from "../../../../src/layers/memory/ledger/UnmanagedVramLedger.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { VramLedger } from "../../../../src/services/VramLedger.ts"
import * as VramLedgerContract from "../../../../src/testing/contracts/VramLedger.ts"
import { holds } from "../../../support/checks.ts"

holds("UnmanagedVramLedger is a VramLedger", VramLedgerContract.contract(UnmanagedVramLedger.layer))

it.effect("UnmanagedVramLedger reports that no capacity is known", () =>
  Effect.gen(function* () {
    assert.isFalse((yield* VramLedger).managed(backend("http://a")))
  }).pipe(Effect.provide(UnmanagedVramLedger.layer)))
