/**
 * Models fit into GPU memory: those that are there, and those that plans load.
 *
 * @since 0.1.0
 */
import { onCpu } from "../../../services/Fleet.ts"
import * as ModelName from "../../../services/ModelName.ts"
import { bytes, type Check, type Finding, finding, names } from "../finding.ts"
import {
  answering,
  type Device,
  devicesOf,
  type Observations,
  type ObservedBackend,
  type ObservedFootprint,
  type WantedModel,
} from "../observations.ts"

/** What llama.cpp leaves free on each device by default (`LLAMA_ARG_FIT_TARGET`). */
const fitTarget = 1024 ** 3

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((all, one) => all + one, 0)

/** Bytes for models on devices; `undefined` where one of them is not known. */
const roomOn = ({ settings: { values } }: Observations, devices: ReadonlyArray<Device> | undefined) => {
  if (devices === undefined || devices.length === 0) return undefined
  if (devices.some(({ total }) => total === undefined)) return undefined
  const left = values.vram ? values.vramReserve : fitTarget
  return sum(devices.map(({ total }) => Math.max(0, (total ?? 0) - left)))
}

const gpus = (devices: ReadonlyArray<Device>): string =>
  devices.length === 1 ? `its GPU has ${size(devices)}` : `its ${devices.length} GPUs have ${size(devices)} together`

const size = (devices: ReadonlyArray<Device>): string => bytes(sum(devices.map(({ total }) => total ?? 0)))

/** Models in memory that are partly in system memory. Where none is on a GPU, that is another finding. */
export const spills: Check = (observations) =>
  answering(observations).filter(({ backend, ps }) =>
    !onCpu(backend) && ps?.some(({ size_vram }) => size_vram > 0) === true
  ).flatMap((observed) =>
    (observed.ps ?? []).filter((row) => row.size_vram < row.size).map((row) => {
      const devices = devicesOf(observations, observed)
      const room = roomOn(observations, devices)
      const isTooLarge = room !== undefined && row.size > room
      const context = row.context_length === undefined ? "" : ` with a context of ${row.context_length} tokens`
      return finding("model-spilled", {
        subject: `${row.model} on ${observed.backend.id}`,
        symptom: `${bytes(row.size - row.size_vram)} of its ${bytes(row.size)} are in system memory`,
        cause: isTooLarge
          ? `It needs ${bytes(row.size)}${context}, and ${gpus(devices ?? [])}.`
          : `Other models or programs had the GPU memory when it was loaded${context}.`,
        remedy: isTooLarge
          ? "Set a smaller OLLAMA_CONTEXT_LENGTH, OLLAMA_KV_CACHE_TYPE=q8_0, or take a smaller quantization."
          : "Unload it and load it again with less beside it. With LLAMERO_VRAM=on llamero makes room first.",
      })
    })
  )

/** A footprint and the memory that there is for it. */
interface Place extends ObservedFootprint {
  readonly observed: ObservedBackend
  readonly room: number
}

/** The backends that have a model, with the memory that it would take at several contexts. */
const placesOf = (observations: Observations, { key }: WantedModel): ReadonlyArray<Place> =>
  observations.footprints.filter(({ model }) => model === key).flatMap((footprint) => {
    const observed = answering(observations).find(({ backend }) => backend.id === footprint.backend)
    const room = observed && roomOn(observations, devicesOf(observations, observed))
    return observed === undefined || room === undefined ? [] : [{ ...footprint, observed, room }]
  })

const fits = ({ bytes, room }: Place): boolean => bytes <= room

const least = (places: ReadonlyArray<Place>): Place | undefined =>
  places.reduce<Place | undefined>((best, one) => best === undefined || one.bytes < best.bytes ? one : best, undefined)

/** Whether a model is in memory there: then it is seen whether it fits, and nothing is estimated. */
const isResident = ({ model, observed }: Place): boolean =>
  observed.ps?.some((row) => ModelName.canonical(row.model) === model) === true

const tooLarge = (wanted: WantedModel, place: Place): Finding =>
  finding("model-too-large", {
    subject: wanted.name,
    symptom: `it needs about ${bytes(place.bytes)} with a context of ${place.context} tokens`,
    cause: `No backend has so much GPU memory free of reserves. The most is ${bytes(place.room)}.`,
    remedy: "Take a smaller quantization or a smaller model, or a backend with more GPU memory.",
  })

const contextTooLarge = (wanted: WantedModel, place: Place, smaller: ReadonlyArray<Place>): Finding => {
  const best = smaller.reduce((one, other) => other.context > one.context ? other : one)
  return finding("context-too-large", {
    subject: `${wanted.name} on ${place.backend}`,
    symptom: `with a context of ${place.context} tokens it needs about ${bytes(place.bytes)}; there are ${
      bytes(place.room)
    }`,
    cause: "Ollama chooses the context by the memory of the GPUs alone. What does not fit goes to system memory.",
    remedy: `Set OLLAMA_CONTEXT_LENGTH=${best.context} for that Ollama: then it needs about ${bytes(best.bytes)}.`,
  })
}

const ofModel = (observations: Observations, wanted: WantedModel): ReadonlyArray<Finding> => {
  const places = placesOf(observations, wanted).filter((place) => !isResident(place))
  const smallest = least(places)
  if (smallest === undefined) return []
  if (!places.some(fits)) {
    const roomiest = places.reduce((one, other) => other.room > one.room ? other : one)
    return [tooLarge(wanted, least(places.filter(({ room }) => room === roomiest.room)) ?? smallest)]
  }
  return places.filter((place) => place.automatic && !fits(place)).flatMap((place) => {
    const smaller = places.filter((other) => other.backend === place.backend && fits(other))
    return smaller.length === 0 ? [] : [contextTooLarge(wanted, place, smaller)]
  })
}

/** Each planned or required model fits alone. */
export const footprints: Check = (observations) =>
  observations.models.flatMap((wanted) => ofModel(observations, wanted))

/** All GPU memory of the fleet; `undefined` where a part of it is not known. */
const roomOfFleet = (observations: Observations): number | undefined => {
  const devices = new Map<string, Device>()
  for (const observed of answering(observations)) {
    const own = devicesOf(observations, observed)
    if (own === undefined) return undefined
    for (const device of own) devices.set(device.uuid, device)
  }
  return roomOn(observations, Array.from(devices.values()))
}

/** The planned models fit together. A model that does not fit alone is a finding of its own, and not counted here. */
export const plan: Check = (observations) => {
  const room = roomOfFleet(observations)
  if (room === undefined) return []
  const onCpuToo = (key: string): boolean =>
    answering(observations).some(({ backend, tags }) =>
      onCpu(backend) && tags?.some(({ model }) => ModelName.canonical(model) === key) === true
    )
  const counted = observations.models.filter(({ key, planned }) => planned && !onCpuToo(key)).flatMap((wanted) => {
    const place = least(placesOf(observations, wanted).filter((one) => one.automatic && fits(one)))
    return place === undefined ? [] : [{ name: wanted.name, bytes: place.bytes }]
  })
  const needed = sum(counted.map((model) => model.bytes))
  if (needed <= room) return []
  return [finding("prewarm-too-large", {
    subject: names(counted.map(({ name }) => name)),
    symptom: `together they need about ${bytes(needed)}; there are ${bytes(room)}`,
    cause: "LLAMERO_PREWARM and LLAMERO_PINNED name more than the GPUs hold. The last ones are not loaded, or spill.",
    remedy: "Plan fewer models, set a smaller OLLAMA_CONTEXT_LENGTH, or add a backend.",
  })]
}
