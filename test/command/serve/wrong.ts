/** Configurations with faults, and what `llamero serve --check` says about each fault. */

/** What a server is given. `DIR` stands for the folder of the files. */
export interface Given {
  /** The first is the file of settings. */
  readonly files?: Readonly<Record<string, string>>
  readonly flags?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
}

export interface Wrong extends Given {
  /** Every line about a fault, in their order. */
  readonly says: ReadonlyArray<string>
}

const hosts =
  "the address of one Ollama server: host, host:port, :port or a URL, with user:password@ where it needs one"

export const wrong: Readonly<Record<string, Wrong>> = {
  "a misspelt key": {
    files: { "llamero.json": `{\n  "backend": ["http://10.0.0.4:11434"]\n}` },
    says: ["DIR/llamero.json:2:3: backend: no setting has this name; did you mean backends?"],
  },
  "keys in other styles": {
    files: { "llamero.yaml": "queue-capacity: 5\nqueue_bytes: 1MiB\nLLAMERO_ZONE: a\nplugin: []\nxyzzy: 1\n" },
    says: [
      "DIR/llamero.yaml:1:1: queue-capacity: no setting has this name; did you mean queueCapacity?",
      "DIR/llamero.yaml:2:1: queue_bytes: no setting has this name; did you mean queueBytes?",
      "DIR/llamero.yaml:3:1: LLAMERO_ZONE: no setting has this name; did you mean zone?",
      "DIR/llamero.yaml:4:1: plugin: no setting has this name; did you mean plugins?",
      "DIR/llamero.yaml:5:1: xyzzy: no setting has this name",
    ],
  },
  "values of the wrong type": {
    files: {
      "llamero.json":
        `{ "queueCapacity": "many", "hedge": "perhaps", "queueDeadline": 30,\n  "bodyLimit": -1, "attempts": 1.5 }`,
    },
    says: [
      `DIR/llamero.json:1:3: queueCapacity="many": wants a whole number of at least 0`,
      "DIR/llamero.json:1:48: queueDeadline=30: wants a duration with its unit, such as 500ms, 30s or 5m",
      "DIR/llamero.json:2:3: bodyLimit=-1: wants a number of bytes, such as 67108864, 64MiB or 256MB",
      "DIR/llamero.json:2:20: attempts=1.5: wants a whole number of at least 1",
      `DIR/llamero.json:1:28: hedge="perhaps": wants true or false`,
    ],
  },
  "two wrong elements of a list": {
    files: { "llamero.yaml": "backends:\n  - http://10.0.0.4:11434\n  - ftp://me:secret@10.0.0.5\n  - 11434\n" },
    says: [
      `DIR/llamero.yaml:3:5: backends[1]="…@10.0.0.5": wants ${hosts}`,
      `DIR/llamero.yaml:4:5: backends[2]=11434: wants ${hosts}`,
    ],
  },
  "objects with wrong parts": {
    files: {
      "llamero.yaml":
        "rateLimit:\n  request: 60\n  tokens: 0\nscorers: {residnet: 3, least-busy: 1}\naliases:\n  gpt-4o: []\n",
    },
    says: [
      "DIR/llamero.yaml:4:21: scorers.residnet=3: wants one of the names resident, least-busy, free-memory, load-time, " +
      "peak-ewma, session-affinity, weight, zone",
      "DIR/llamero.yaml:2:12: rateLimit.request=60: wants one of the names requests, tokens, concurrent",
      "DIR/llamero.yaml:3:11: rateLimit.tokens=0: wants a whole number of at least 1",
      "DIR/llamero.yaml:6:11: aliases.gpt-4o=[]: wants the name of a model, or a list of names",
    ],
  },
  "JSON that is none": {
    files: { "llamero.json": `{\n  "port": 8080,\n  "hedge": true\n` },
    says: ["DIR/llamero.json:4:1: "],
  },
  "YAML that is none": {
    files: { "llamero.yaml": "port: 8080\n  hedge: true\n" },
    says: ["DIR/llamero.yaml:1:7: ", "DIR/llamero.yaml:1:7: "],
  },
  "a key that is there twice": {
    files: { "llamero.yaml": "port: 8080\nhedge: on\nport: 9090\n" },
    says: ["DIR/llamero.yaml:3:1: Map keys must be unique"],
  },
  "a list in place of settings": {
    files: { "llamero.json": `[]` },
    says: ["DIR/llamero.json:1:1: wants an object: keys with values"],
  },
  "a file that is not there": {
    flags: { LLAMERO_CONFIG: "DIR/nowhere.yaml" },
    says: ["--config: there is no file DIR/nowhere.yaml"],
  },
  "a flag, a variable and the file, each wrong": {
    files: { "llamero.json": `{ "retryRatio": "half" }` },
    flags: { LLAMERO_QUEUE_CAPACITY: "many", LLAMERO_LOG_LEVEL: "loud" },
    env: { LLAMERO_HEARTBEAT: "15", LLAMERO_BACKEND: "a" },
    says: [
      "LLAMERO_BACKEND: no setting has this name; did you mean LLAMERO_BACKENDS?",
      `--queue-capacity="many": wants a whole number of at least 0`,
      `LLAMERO_HEARTBEAT="15": wants a duration with its unit, such as 500ms, 30s or 5m`,
      `DIR/llamero.json:1:3: retryRatio="half": wants a number of at least 0`,
      `--log-level="loud": wants one of All, Trace, Debug, Info, Warn, Error, Fatal, None`,
    ],
  },
  "settings that do not go together, from three sources": {
    files: { "llamero.yaml": "backends: [http://10.0.0.4:11434]\ndecisions: 5\nzone: a\n" },
    flags: { LLAMERO_FLEET_FILE: "DIR/fleet.json" },
    env: { LLAMERO_BREAKER_OPEN: "10m" },
    says: [
      "DIR/llamero.yaml:1:1: backends and --fleet-file both name the backends: set one of them",
      `DIR/llamero.yaml:3:1: zone="a": wants zone among scorers, such as resident=3,least-busy=1,zone=2`,
      `DIR/llamero.yaml:2:1: decisions="5": wants adminToken, which /admin/decisions asks for`,
      `LLAMERO_BREAKER_OPEN="600000ms": wants at most LLAMERO_BREAKER_OPEN_MAX, which is 300000ms`,
      "--fleet-file: DIR/fleet.json: ",
    ],
  },
  "files that settings name": {
    files: {
      "llamero.json": `{\n  "fleetFile": "DIR/fleet.json",\n  "keysFile": "DIR/keys.json",\n  "caFile": "DIR/ca.pem",
  "plugins": ["DIR/nowhere.ts"]\n}`,
      "fleet.json": `{"backends":[{"url":"http://a","wieght":2}]}`,
      "keys.json": `{"keys":[{"id":"a"}]}`,
      "ca.pem": "nothing",
    },
    env: { LLAMERO_FOOTPRINTS: "DIR/footprints.json" },
    says: [
      "DIR/llamero.json:2:3: fleetFile: DIR/fleet.json: ",
      "DIR/llamero.json:3:3: keysFile: the file of API keys, DIR/keys.json: ",
      "LLAMERO_FOOTPRINTS: ",
      "DIR/llamero.json:4:3: caFile: DIR/ca.pem has no certificate",
      "DIR/llamero.json:5:3: plugins: ",
    ],
  },
  "secrets of the wrong type, which nobody may read": {
    files: {
      "llamero.yaml": "adminToken: 12345\nagentToken: [sesame]\notelExporterOtlpTracesHeaders: {api-key: 678}\n" +
        "redisUrl: http://me:sesame@redis\n",
    },
    says: [
      "DIR/llamero.yaml:1:1: adminToken: wants a token, as a text",
      `DIR/llamero.yaml:4:1: redisUrl="…@redis": wants the URL of a Redis, such as redis://10.0.0.9:6379 or ` +
      "rediss://:password@redis.example:6380/0",
      "DIR/llamero.yaml:2:1: agentToken: wants a token, as a text",
      "DIR/llamero.yaml:3:42: otelExporterOtlpTracesHeaders.api-key: wants a text",
    ],
  },
  "an address that is listened on, and two backends that are one": {
    flags: { LLAMERO_PORT: "11434", LLAMERO_BACKENDS: "http://127.0.0.1:11434,localhost" },
    says: [
      `--backends="http://127.0.0.1:11434": wants backends other than this router itself`,
      "--backends: wants each backend once, and http://127.0.0.1:11434 is there twice",
    ],
  },
  "settings that say where backends are, and none": {
    files: { "llamero.json": `{ "agents": ["http://10.0.0.4:11436", "http://10.0.0.4:1"] }` },
    env: { LLAMERO_FLEET_INTERVAL: "soon" },
    says: [
      `LLAMERO_FLEET_INTERVAL="soon": wants a duration with its unit, such as 500ms, 30s or 5m`,
      `DIR/llamero.json:1:3: agents=["http://10.0.0.4:11436","http://10.0.0.4:1"]: wants http(s) URLs without a user, ` +
      "no two on one host, such as http://10.0.0.4:11436",
    ],
  },
}
