/** Reads OTLP in its binary form, as far as tests look at it: trace.proto, version 1. */

type Field = { readonly number: number; readonly value: Uint8Array | bigint }

const fields = (bytes: Uint8Array): ReadonlyArray<Field> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const found: Array<Field> = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n;; shift += 7n) {
      const byte = BigInt(bytes[at++]!)
      value |= (byte & 127n) << shift
      if (byte < 128n) return value
    }
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const number = tag >> 3
    switch (tag & 7) {
      case 0:
        found.push({ number, value: varint() })
        break
      case 1:
        found.push({ number, value: view.getBigUint64(at, true) })
        at += 8
        break
      case 2: {
        const length = Number(varint())
        found.push({ number, value: bytes.subarray(at, at += length) })
        break
      }
      case 5:
        found.push({ number, value: BigInt(view.getUint32(at, true)) })
        at += 4
        break
      default:
        throw new Error(`no such wire type: ${tag & 7}`)
    }
  }
  return found
}

const all = (bytes: Uint8Array, number: number) =>
  fields(bytes).flatMap((field) => field.number === number ? [field.value as Uint8Array] : [])
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** The spans of an export: ids, parent, name, state, and times in milliseconds. */
export const decode = (body: Uint8Array) =>
  all(body, 1).flatMap((resource) => all(resource, 2)).flatMap((scope) => all(scope, 2)).map((span) => {
    const one = (number: number) => fields(span).find((field) => field.number === number)?.value
    const bytes = (number: number) => one(number) as Uint8Array | undefined
    return {
      traceId: hex(bytes(1)!),
      spanId: hex(bytes(2)!),
      state: bytes(3) === undefined ? undefined : text(bytes(3)!),
      parent: bytes(4) === undefined ? undefined : hex(bytes(4)!),
      name: text(bytes(5)!),
      from: Number((one(7) as bigint) / 1_000_000n),
      to: Number((one(8) as bigint) / 1_000_000n),
      attributes: all(span, 9).map((pair) => text(all(pair, 1)[0]!)),
    }
  })
