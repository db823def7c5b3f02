// The house rules as data, and nothing but data: which folder stands on which floor, which files touch the world,
// what is forbidden elsewhere and what to use in its place. docs/architecture.md says why.

/** A room: its folder, its floor (imports go down only), and rooms of the same floor that it may enter. */
export interface Room {
  readonly folder: string
  readonly floor: number
  readonly alsoImports?: readonly string[]
}

export const ROOMS: readonly Room[] = [
  // The commands wire everything together, the dashboard included.
  { folder: 'src/cli', floor: 6, alsoImports: ['src/web'] },
  { folder: 'src/web', floor: 6 },
  { folder: 'examples', floor: 6 },
  { folder: 'src/master', floor: 5 },
  { folder: 'src/agent', floor: 5 },
  { folder: 'src/framework', floor: 5 },
  { folder: 'src/log', floor: 4 },
  { folder: 'src/detector', floor: 4 },
  { folder: 'src/resources', floor: 3 },
  { folder: 'src/messages', floor: 2 },
  { folder: 'src/zookeeper', floor: 2 },
  { folder: 'src/actors', floor: 1 },
  { folder: 'src/base', floor: 0 },
]

/** The simulator stands beside the floors: it may import any of them, and only these may import it. */
export const SIMULATOR = 'src/sim'
export const SIMULATOR_USERS: readonly string[] = ['src/sim/', 'src/cli/sim.ts', 'test/', 'bench/']

/** The only files (or, ending in `/`, folders) that may touch the world, and what for. */
export const WORLD: Readonly<Record<string, string>> = {
  'src/actors/system-clock.ts': 'time',
  'src/actors/websocket-transport.ts': 'sockets',
  'src/actors/http-server.ts': 'sockets',
  'src/actors/http-request.ts': 'sockets',
  'src/actors/system-runtime.ts': 'entropy for the seed, and the load of the machine',
  'src/actors/record-files.ts': 'files',
  'src/actors/cpu-profiler.ts': 'the inspector of this process',
  'src/log/files.ts': 'files',
  'src/log/growing-file.ts': 'files, read only',
  'src/log/lock-file.ts': 'files',
  'src/log/read-log.ts': 'files, read only',
  'src/log/survey.ts': 'files, read only',
  'src/agent/posix-processes.ts': 'processes',
  'src/agent/agent-guard.ts': 'processes',
  'src/agent/adopted-processes.ts': 'processes, which it only looks at',
  'src/agent/container-records.ts': 'files',
  'src/agent/runtime-token.ts': 'files',
  'src/agent/checkpoint/system-disk.ts': 'files',
  'src/agent/containerizer/linux-launcher.ts': 'processes',
  'src/agent/containerizer/cgroup-tree.ts': 'control groups',
  'src/agent/containerizer/system-programs.ts': 'what the machine has, and what processes use',
  'src/agent/checks/system-probes.ts': 'requests to tasks',
  'src/agent/checks/connect-within.ts': 'processes',
  'src/agent/cni/configs.ts': 'files, read only',
  'src/agent/cni/network-store.ts': 'files, mounts, and plugins, which it may kill',
  'src/agent/cni/plugins.ts': 'processes',
  'src/agent/cni/start.ts': 'what the machine has',
  'src/agent/gc/system-garbage-disk.ts': 'old sandboxes',
  'src/agent/containerizer/system-watch.ts': 'sockets, and sizes of sandboxes',
  'src/agent/fetcher/download.ts': 'downloads',
  'src/agent/fetcher/placing.ts': 'programs that fill sandboxes',
  'src/agent/fetcher/fetcher.ts': 'the cache of what is fetched',
  'src/agent/output-files.ts': 'how files are opened',
  'src/agent/logger/sandbox-logger.ts': 'files of output',
  'src/agent/logger/logrotate-logger.ts': 'the process of the log writer',
  'src/agent/logger/log-writer.ts': 'the process of the log writer',
  'src/agent/logger/pipes.ts': 'FIFOs',
  'src/agent/logger/fifos.ts': 'FIFOs',
  'src/agent/logger/rotating-file.ts': 'files of output',
  'src/agent/containerizer/kept-files.ts': 'files of control groups',
  'src/agent/argv0.ts': 'whether there is a bash',
  'src/agent/containerizer/exec.ts': 'processes',
  'src/agent/containerizer/child-io.ts': 'pipes, terminals',
  'src/agent/containerizer/spawn.ts': 'processes',
  'src/agent/containerizer/accounts.ts': 'accounts of the machine',
  'src/agent/containerizer/toolbox.ts': 'programs and devices for containers',
  'src/agent/images/archive.ts': 'files, read only',
  'src/agent/images/commands.ts': 'programs that copy and remove',
  'src/agent/images/copy-layers.ts': 'files',
  'src/agent/images/provisioner.ts': 'files',
  'src/agent/images/registry-client.ts': 'requests to registries',
  'src/agent/images/start.ts': 'what the machine has',
  'src/agent/images/store.ts': 'files',
  'src/agent/images/unpack.ts': 'tar(1), and what it unpacks',
  'src/agent/docker/docker-command.ts': 'processes',
  'src/agent/docker/docker-records.ts': 'files',
  'src/agent/docker/docker-cgroups.ts': 'control groups, and processes, which it may kill',
  'src/agent/make-directories.ts': 'files',
  'src/agent/process-table.ts': 'processes, read only',
  'src/agent/system-resources.ts': 'what the machine has',
  'src/agent/file-system.ts': 'files',
  'src/zookeeper/library.ts': 'sockets, by its library',
  'src/framework/run.ts': 'the process of a framework',
  'src/framework/stop-signals.ts': 'signals, and the time between them',
  'src/base/logger.ts': 'the process’ output',
  'src/sim/virtual-clock.ts':
    'the end of the turn, so that promises are served before virtual time moves',
  'src/cli/': 'commands wire the real world to the actors',
  'src/web/': 'the page runs in a browser, and its files are read from dist',
  'examples/': 'programs of users',
}

/** A thing that reads or changes the world behind the reader's back. */
export interface Forbidden {
  readonly name: string
  /** Matched against code without comments and without the contents of strings. */
  readonly pattern: RegExp
  readonly instead: string
}

const CLOCK = 'take a Clock (src/actors/clock.ts) and call its now()'
const DELAY = "use the actor's delay(), or a Clock's"
const CHANCE = 'take a Random (src/base/random.ts)'

export const FORBIDDEN_GLOBALS: readonly Forbidden[] = [
  { name: 'Date.now', pattern: /\bDate\s*\.\s*now\b/, instead: CLOCK },
  { name: 'new Date()', pattern: /\bnew\s+Date\s*(\(\s*\)|(?!\s*\())/, instead: CLOCK },
  { name: 'performance', pattern: /(?<![.\w])performance\s*\./, instead: CLOCK },
  { name: 'process.hrtime', pattern: /\bprocess\s*\.\s*hrtime\b/, instead: CLOCK },
  { name: 'Math.random', pattern: /\bMath\s*\.\s*random\b/, instead: CHANCE },
  {
    name: 'crypto.randomUUID',
    pattern: /\brandomUUID\b/,
    instead: `${CHANCE} and call its uuid()`,
  },
  { name: 'crypto.randomBytes', pattern: /\brandomBytes\b|\bgetRandomValues\b/, instead: CHANCE },
  { name: 'setTimeout', pattern: /(?<!\.)\bsetTimeout\b/, instead: DELAY },
  { name: 'setInterval', pattern: /(?<!\.)\bsetInterval\b/, instead: DELAY },
  { name: 'setImmediate', pattern: /(?<!\.)\bsetImmediate\b/, instead: DELAY },
]

/** Node's modules that reach the world, without their `node:` prefix; what begins so is meant too (`fs/promises`). */
export const FORBIDDEN_MODULES: Readonly<Record<string, string>> = {
  fs: 'take a Storage or a FileSystem',
  child_process: 'take Processes',
  net: 'take a Transport',
  tls: 'take a Transport',
  dgram: 'take a Transport',
  dns: 'take a Transport',
  http: 'declare a route on the actor',
  https: 'declare a route on the actor',
  timers: DELAY,
  perf_hooks: CLOCK,
}

/** Files that nobody imports because a tool or the shell starts them. */
export const ENTRY_POINTS: readonly RegExp[] = [
  /^src\/cli\/bin\/[^/]+\.ts$/,
  /^src\/cli\/(start|sim)\.ts$/,
  /^src\/web\/page\/main\.tsx$/,
  /^examples\/[^/]+\/(main|executor)\.ts$/,
  /^bench\/main\.ts$/,
  /\.test\.tsx?$/,
  /^test\/(sim|chaos)\/main\.ts$/,
  /^test\/chaos\/agent\/executor\.ts$/,
  /^test\/types\//,
]

/** Packages used without an import: by a command, by the compiler, or (the last) in source that a test builds. */
export const TOOLS: readonly string[] = [
  '@biomejs/biome',
  '@types/node',
  '@types/node-zookeeper-client',
  '@types/ws',
  'oxlint',
  'oxlint-tsgolint',
  'typescript',
  'preact-render-to-string',
]

/** Lines a file of src may have. A file that outgrows one screenful of ideas is split. */
export const MAX_LINES = 400
