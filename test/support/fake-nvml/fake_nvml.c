/*
 * A libnvidia-ml.so.1 whose answers come from a file. It tests our own calls, not the behaviour of NVIDIA's library.
 *
 * FAKE_NVML_STATE names the file, which is read again for every call. A line is a key, a blank and a value:
 *
 *   count 2                          number of GPUs
 *   driver 580.95.05                 version of the driver; without it the library cannot tell
 *   cuda 13000                       version of CUDA, 1000 times the major and 10 times the minor one
 *   0.total 25769803776              of GPU 0; also free, used, reserved, util, temp, power (mW), uuid, name
 *   0.capability 8 6                 major and minor compute capability
 *   0.lag 17179869184 700            free is this until 700 ms after the file was written
 *   0.mig 1                          MIG is on; 0.migmax slots, of which 0/0, 0/1, ... exist when they have a total
 *   0/1.total 10000000000            of instance 1 of GPU 0; also free, used, uuid, name, gi
 *   0.processes 100:1000,200:-       pid and bytes; "-" for bytes that are not available
 *   rc.nvmlDeviceGetName 999         what a function returns; rc.nvmlDeviceGetName.0 for one GPU; with /1 for a slot
 *   hang.nvmlDeviceGetName -1        milliseconds before a function answers; -1: it never does
 *   event.0 1 79 -1                  the first event: GPU 1 (-1: unknown), Xid 79, GPU instance (-1: none)
 *
 * Built with WITHOUT_V2 it has no _v2 memory and no TemperatureV call, with WITHOUT_COUNT no count at all. The probe's
 * sizes and offsets of fields come in as macros. They must agree with the declarations here, which follow nvml.h of API
 * version 13.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef int rc_t;
typedef void *device_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_v2_t;
typedef struct { unsigned int gpu, memory; } utilization_t;
typedef struct { unsigned int version; int sensor; int temperature; } temperature_t;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gi, ci; } process_t;
typedef struct { device_t device; unsigned long long type, data; unsigned int gi, ci; } event_t;

#define SAME(a, b) _Static_assert((a) == (b), #a " is not " #b)
SAME(sizeof(memory_t), MEMORYV1_SIZE);
SAME(offsetof(memory_t, total), MEMORYV1_TOTAL);
SAME(offsetof(memory_t, free), MEMORYV1_FREE);
SAME(offsetof(memory_t, used), MEMORYV1_USED);
SAME(sizeof(memory_v2_t), MEMORYV2_SIZE);
SAME(offsetof(memory_v2_t, version), MEMORYV2_VERSION);
SAME(offsetof(memory_v2_t, total), MEMORYV2_TOTAL);
SAME(offsetof(memory_v2_t, reserved), MEMORYV2_RESERVED);
SAME(offsetof(memory_v2_t, free), MEMORYV2_FREE);
SAME(offsetof(memory_v2_t, used), MEMORYV2_USED);
SAME(sizeof(memory_v2_t) | 2 << 24, MEMORYV2_V);
SAME(sizeof(utilization_t), UTILIZATION_SIZE);
SAME(offsetof(utilization_t, gpu), UTILIZATION_GPU);
SAME(sizeof(temperature_t), TEMPERATURE_SIZE);
SAME(offsetof(temperature_t, version), TEMPERATURE_VERSION);
SAME(offsetof(temperature_t, sensor), TEMPERATURE_SENSOR);
SAME(offsetof(temperature_t, temperature), TEMPERATURE_CELSIUS);
SAME(sizeof(temperature_t) | 1 << 24, TEMPERATURE_V);
SAME(sizeof(process_t), PROCESSINFO_SIZE);
SAME(offsetof(process_t, pid), PROCESSINFO_PID);
SAME(offsetof(process_t, used), PROCESSINFO_USED);
SAME(sizeof(event_t), EVENTDATA_SIZE);
SAME(offsetof(event_t, device), EVENTDATA_DEVICE);
SAME(offsetof(event_t, type), EVENTDATA_TYPE);
SAME(offsetof(event_t, data), EVENTDATA_DATA);
SAME(offsetof(event_t, gi), EVENTDATA_GPUINSTANCE);

static int initialised = 0;
static int delivered = 0;

/* The value of a key, or NULL. */
static const char *look(const char *key) {
  static char value[4096];
  char line[4096];
  const char *path = getenv("FAKE_NVML_STATE");
  FILE *file = path ? fopen(path, "r") : NULL;
  const char *found = NULL;
  if (!file) return NULL;
  while (!found && fgets(line, sizeof line, file)) {
    size_t n = strlen(key);
    if (strncmp(line, key, n) || line[n] != ' ') continue;
    snprintf(value, sizeof value, "%s", line + n + 1);
    value[strcspn(value, "\n")] = 0;
    found = value;
  }
  fclose(file);
  return found;
}

static void sleep_ms(long ms) {
  struct timespec t = { ms / 1000, (ms % 1000) * 1000000L };
  nanosleep(&t, NULL);
}

/* A handle is 1 + 256 * GPU + instance + 1; instance -1 is the GPU itself. */
static device_t handle(int gpu, int instance) { return (device_t)(uintptr_t)(1 + 256 * (gpu + 1) + instance + 1); }
static int gpu_of(device_t d) { return (int)(((uintptr_t)d - 1) / 256) - 1; }
static int instance_of(device_t d) { return (int)(((uintptr_t)d - 1) % 256) - 1; }

static rc_t enter(const char *function, int gpu) {
  char key[128];
  const char *v;
  snprintf(key, sizeof key, "hang.%s", function);
  if ((v = look(key))) {
    long ms = atol(v);
    if (ms < 0) for (;;) pause();
    sleep_ms(ms);
  }
  if (gpu >= 0) {
    snprintf(key, sizeof key, "rc.%s.%d", function, gpu);
    if ((v = look(key))) return atoi(v);
  }
  snprintf(key, sizeof key, "rc.%s", function);
  if ((v = look(key))) return atoi(v);
  return initialised || !strncmp(function, "nvmlInit", 8) ? 0 : 1;
}

#define ENTER(gpu) do { rc_t e = enter(__func__, gpu); if (e) return e; } while (0)

static const char *of(device_t d, const char *field) {
  char key[64];
  if (instance_of(d) < 0) snprintf(key, sizeof key, "%d.%s", gpu_of(d), field);
  else snprintf(key, sizeof key, "%d/%d.%s", gpu_of(d), instance_of(d), field);
  return look(key);
}

static unsigned long long number(device_t d, const char *field, unsigned long long otherwise) {
  const char *v = of(d, field);
  return v ? strtoull(v, NULL, 10) : otherwise;
}

/* The driver releases the memory of an ended process late. */
static unsigned long long free_of(device_t d) {
  const char *lag = of(d, "lag");
  struct stat s;
  struct timespec now;
  unsigned long long before;
  long ms;
  if (lag && sscanf(lag, "%llu %ld", &before, &ms) == 2 && !stat(getenv("FAKE_NVML_STATE"), &s)) {
    clock_gettime(CLOCK_REALTIME, &now);
    if ((now.tv_sec - s.st_mtim.tv_sec) * 1000 + (now.tv_nsec - s.st_mtim.tv_nsec) / 1000000 < ms) return before;
  }
  return number(d, "free", 0);
}

rc_t nvmlInit_v2(void) { ENTER(-1); initialised++; return 0; }
rc_t nvmlInitWithFlags(unsigned int flags) { ENTER(-1); initialised++; return flags == 1 ? 0 : 2; }
rc_t nvmlShutdown(void) { ENTER(-1); initialised--; return 0; }

rc_t nvmlSystemGetDriverVersion(char *out, unsigned int length) {
  const char *v;
  ENTER(-1);
  if (!(v = look("driver"))) return 3;
  if (strlen(v) + 1 > length) return 7;
  strcpy(out, v);
  return 0;
}

rc_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
  const char *v;
  ENTER(-1);
  if (!(v = look("cuda"))) return 3;
  *version = atoi(v);
  return 0;
}

#ifndef WITHOUT_COUNT
rc_t nvmlDeviceGetCount_v2(unsigned int *count) {
  const char *v;
  ENTER(-1);
  v = look("count");
  *count = v ? (unsigned)atoi(v) : 0;
  return 0;
}
#endif

rc_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, device_t *d) {
  const char *v = look("count");
  if ((int)index >= (v ? atoi(v) : 0)) return 2;
  ENTER((int)index);
  *d = handle((int)index, -1);
  return 0;
}

static rc_t text(device_t d, const char *field, const char *prefix, char *out, unsigned int length) {
  const char *v = of(d, field);
  char made[96];
  if (!v) {
    if (instance_of(d) < 0) snprintf(made, sizeof made, "%s-%d", prefix, gpu_of(d));
    else snprintf(made, sizeof made, "%s-%d-%d", strcmp(prefix, "GPU") ? prefix : "MIG", gpu_of(d), instance_of(d));
    v = made;
  }
  if (strlen(v) + 1 > length) return 7;
  strcpy(out, v);
  return 0;
}

rc_t nvmlDeviceGetName(device_t d, char *out, unsigned int length) { ENTER(gpu_of(d)); return text(d, "name", "Fake", out, length); }
rc_t nvmlDeviceGetUUID(device_t d, char *out, unsigned int length) { ENTER(gpu_of(d)); return text(d, "uuid", "GPU", out, length); }

rc_t nvmlDeviceGetMemoryInfo(device_t d, memory_t *m) {
  ENTER(gpu_of(d));
  m->total = number(d, "total", 0);
  m->free = free_of(d);
  m->used = m->total - m->free;
  return 0;
}

#ifndef WITHOUT_V2
rc_t nvmlDeviceGetMemoryInfo_v2(device_t d, memory_v2_t *m) {
  ENTER(gpu_of(d));
  if (m->version != (sizeof(memory_v2_t) | 2 << 24)) return 13;
  m->total = number(d, "total", 0);
  m->reserved = number(d, "reserved", 0);
  m->free = free_of(d);
  m->used = number(d, "used", m->total - m->free - m->reserved);
  return 0;
}

rc_t nvmlDeviceGetTemperatureV(device_t d, temperature_t *t) {
  ENTER(gpu_of(d));
  if (t->version != (sizeof(temperature_t) | 1 << 24) || t->sensor != 0) return 25;
  t->temperature = (int)number(d, "temp", 40);
  return 0;
}
#endif

rc_t nvmlDeviceGetTemperature(device_t d, int sensor, unsigned int *t) {
  ENTER(gpu_of(d));
  *t = (unsigned)number(d, "temp", 40);
  return sensor ? 2 : 0;
}

rc_t nvmlDeviceGetUtilizationRates(device_t d, utilization_t *u) {
  ENTER(gpu_of(d));
  if (instance_of(d) >= 0) return 3;
  u->gpu = (unsigned)number(d, "util", 0);
  u->memory = 99;
  return 0;
}

rc_t nvmlDeviceGetPowerUsage(device_t d, unsigned int *mw) { ENTER(gpu_of(d)); *mw = (unsigned)number(d, "power", 50000); return 0; }

rc_t nvmlDeviceGetCudaComputeCapability(device_t d, int *major, int *minor) {
  const char *v;
  ENTER(gpu_of(d));
  v = of(d, "capability");
  if (instance_of(d) >= 0 || !v || sscanf(v, "%d %d", major, minor) != 2) return 3;
  return 0;
}

rc_t nvmlDeviceGetMigMode(device_t d, unsigned int *current, unsigned int *pending) {
  const char *v;
  ENTER(gpu_of(d));
  if (!(v = of(d, "mig"))) return 3;
  *current = *pending = (unsigned)atoi(v);
  return 0;
}

rc_t nvmlDeviceGetMaxMigDeviceCount(device_t d, unsigned int *count) { ENTER(gpu_of(d)); *count = (unsigned)number(d, "migmax", 7); return 0; }

rc_t nvmlDeviceGetMigDeviceHandleByIndex(device_t d, unsigned int slot, device_t *out) {
  char key[96];
  const char *v;
  ENTER(gpu_of(d));
  *out = handle(gpu_of(d), (int)slot);
  snprintf(key, sizeof key, "rc.%s.%d/%d", __func__, gpu_of(d), (int)slot);
  if ((v = look(key))) return atoi(v);
  return of(*out, "total") ? 0 : 6;
}

rc_t nvmlDeviceGetGpuInstanceId(device_t d, unsigned int *id) {
  ENTER(gpu_of(d));
  if (instance_of(d) < 0) return 3;
  *id = (unsigned)number(d, "gi", (unsigned)instance_of(d) + 1);
  return 0;
}

rc_t nvmlDeviceGetComputeRunningProcesses_v3(device_t d, unsigned int *count, process_t *out) {
  const char *v;
  unsigned int there = 0, room = *count;
  ENTER(gpu_of(d));
  for (v = of(d, "processes"); v && *v; there++) {
    char *end;
    unsigned int pid = (unsigned)strtoul(v, &end, 10);
    unsigned long long used = end[1] == '-' ? ~0ULL : strtoull(end + 1, NULL, 10);
    if (there < room) out[there] = (process_t){ pid, used, ~0u, ~0u };
    v = strchr(end, ',');
    if (v) v++;
  }
  *count = there;
  return there > room ? 7 : 0;
}

rc_t nvmlEventSetCreate(void **set) { ENTER(-1); *set = (void *)1; return 0; }
rc_t nvmlEventSetFree(void *set) { ENTER(-1); return set == (void *)1 ? 0 : 2; }
rc_t nvmlDeviceRegisterEvents(device_t d, unsigned long long types, void *set) { ENTER(gpu_of(d)); return types == 8 && set == (void *)1 ? 0 : 2; }

rc_t nvmlEventSetWait_v2(void *set, event_t *event, unsigned int ms) {
  char key[32];
  const char *v;
  int gpu, gi;
  unsigned long long xid;
  ENTER(-1);
  if (set != (void *)1) return 2;
  snprintf(key, sizeof key, "event.%d", delivered);
  if (!(v = look(key)) || sscanf(v, "%d %llu %d", &gpu, &xid, &gi) != 3) { sleep_ms(ms); return 10; }
  delivered++;
  *event = (event_t){ gpu < 0 ? NULL : handle(gpu, -1), 8, xid, (unsigned)gi, ~0u };
  return 0;
}
