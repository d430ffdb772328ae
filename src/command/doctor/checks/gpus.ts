/**
 * The GPUs of each machine, and their drivers.
 *
 * @since 0.1.0
 */
import type { PassedOver } from "../../../services/GpuProbe.ts"
import { type Check, type Finding, finding } from "../finding.ts"
import { broken, type Device, type Observations, type ObservedHost } from "../observations.ts"
import { isBelow } from "../ollamaVersion.ts"

/** What to do about each reason of `GpuProbeError`. Reasons that mean "no GPU here" are not in it. */
const remedies: Readonly<Record<string, readonly [cause: string, remedy: string]>> = {
  DriverMismatch: [
    "The driver was updated, and its old kernel module still runs.",
    "Restart the machine, or unload and load the nvidia modules.",
  ],
  DriverNotLoaded: [
    "The library of the driver is installed, and its kernel module is not loaded.",
    "Run `sudo modprobe nvidia`; if that fails, install the driver again. Without a GPU, remove the driver.",
  ],
  DeviceLost: [
    "The GPU fell off the bus or needs a reset: heat, power, or a fault of the hardware.",
    "Look for Xid in the kernel log, then restart the machine. If it comes again, have the hardware checked.",
  ],
  Timeout: ["The driver hangs.", "Look for Xid in the kernel log, then restart the machine."],
  PermissionDenied: [
    "This user, or this container, may not open the GPU.",
    "Give the container the GPU (`--gpus all`), the user the devices in /dev, and Deno --allow-ffi and --allow-run.",
  ],
  LibraryInvalid: [
    "The library of the driver is for another system.",
    "Install the driver for this system, or name its library in LLAMERO_NVML_LIBRARY.",
  ],
  SymbolMissing: ["The driver is too old to be read.", "Install a current driver."],
  Unreachable: [
    "The GPU agent does not run, or a firewall is between.",
    "Start the agent, and correct its URL in LLAMERO_AGENTS.",
  ],
  Failed: ["The driver answers with an error.", "Look at the kernel log, then restart the machine."],
}

/** Machines whose GPUs matter: this one only if a backend is on it, and those whose agents somebody has named. */
const machines = ({ backends, hosts }: Observations): ReadonlyArray<ObservedHost> =>
  hosts.filter(({ name }) => name !== "localhost" || backends.some(({ host }) => host === name))

const where = ({ name }: ObservedHost): string => name === "localhost" ? "this machine" : name

const unreadable = (host: ObservedHost, { description, reason, source }: PassedOver): Finding => {
  const [cause, remedy] = remedies[reason] ?? remedies["Failed"]!
  const isAgent = host.name !== "localhost" && reason === "PermissionDenied"
  return finding("gpu-unreadable", {
    subject: where(host),
    symptom: `${source}: ${description}`,
    cause: isAgent ? "The GPU agent refuses the token." : cause,
    remedy: isAgent ? "Set LLAMERO_AGENT_TOKEN to the token of the agent." : remedy,
  })
}

/** A source that should see GPUs and does not, or that a worse one stands in for. */
export const sources: Check = (observations) =>
  machines(observations).flatMap((host) => {
    const failed = broken(host)
    if (failed !== undefined) return [unreadable(host, failed)]
    const nvml = host.passedOver.find(({ source }) => source === "nvml")
    if (host.source !== "nvidia-smi" || nvml === undefined) return []
    return [finding("nvml-unused", {
      subject: where(host),
      symptom: `NVML: ${nvml.description}`,
      cause: "GPUs are read with nvidia-smi: a new process for each reading, whole MiB, and no error events.",
      remedy: "Install koffi (`npm install koffi`), or name the library in LLAMERO_NVML_LIBRARY.",
    })]
  })

/** What Ollama's documentation of hardware names: driver 531; driver 570 for compute capability 5.0 to 6.2. */
const driverFor = ({ capability }: Device): string => capability !== undefined && capability < 7 ? "570" : "531"

/** The driver that NVML reports. */
export const drivers: Check = (observations) =>
  machines(observations).flatMap((host) => {
    const { driver } = host
    const supported = (host.devices ?? []).filter(({ capability }) => capability === undefined || capability >= 5)
    const needed = supported.filter(({ kind }) => kind !== "system").map(driverFor).sort().at(-1)
    if (driver === undefined || needed === undefined) return []
    // CUDA 12 came with driver 525. It tells something only where the version of the driver is not known.
    const isOld = isBelow(driver.version, needed) ?? isBelow(driver.cuda, "12") ?? false
    if (!isOld) return []
    return [finding("driver-old", {
      subject: where(host),
      symptom: `the NVIDIA driver is ${driver.version ?? "unknown"}, with CUDA ${driver.cuda ?? "unknown"}`,
      cause: `Ollama needs driver ${needed} or later for these GPUs. With an older one it runs models on the CPU.`,
      remedy: `Install NVIDIA driver ${needed} or later, and restart the machine.`,
    })]
  })

/** Each GPU. */
export const devices: Check = (observations) =>
  machines(observations).flatMap((host) =>
    (host.devices ?? []).flatMap((device): ReadonlyArray<Finding> => {
      const subject = `${device.name} (${device.uuid}) on ${where(host)}`
      if (device.fault !== undefined) {
        return [finding("gpu-faulty", {
          subject,
          symptom: device.fault,
          cause: "The driver reported an error that is not one of an application.",
          remedy: "Look up the Xid in the kernel log. Take the GPU out of use until it was reset or replaced.",
        })]
      }
      if (device.capability === undefined || device.capability >= 5) return []
      return [finding("gpu-old", {
        subject,
        symptom: `its compute capability is ${device.capability}`,
        cause: "Ollama supports compute capability 5.0 and later. It does not use this GPU.",
        remedy: "Use a newer GPU, or label the backend `device: cpu`.",
      })]
    })
  )
