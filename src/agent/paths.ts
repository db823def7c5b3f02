// Where an agent keeps what, below `--work_dir` and `--runtime_dir`. The layout is Mesos' own:
//
//   <work_dir>/
//   └── slaves/
//       ├── latest → <agent id>
//       └── <agent id>/
//           └── frameworks/<framework id>/
//               └── executors/<executor id>/
//                   └── runs/
//                       ├── latest → <container id>
//                       └── <container id>/          the sandbox, mode 0750
//                           ├── stdout
//                           └── stderr
//   <runtime_dir>/
//   └── containers/<container id>/
//       ├── pid                                      while the container's process lives
//       ├── cgroups                                  under the linux launcher: its control groups
//       ├── survives                                 if it outlives its agent
//       ├── terminal, input                          if it has a terminal: which one, and a fifo that leads there
//       └── status                                   how its program ended
//
// Checkpoints are a second tree of the same form below `<work_dir>/meta` (checkpoint/meta-paths.ts).
//
// Some of these names are chosen by frameworks. The master refuses ids that are no file names; a path is what an
// agent would pay for it with, so `segment` checks them again.

import { assert } from '../base/assert.ts'

/** The longest name that common file systems take. */
const MAX_SEGMENT_BYTES = 255

/** Owner: all; group: read and enter; others: nothing. */
export const SANDBOX_MODE = 0o750

/** Why an id cannot be part of a path; undefined if it can. The wording finishes "… id 'x' ". */
export function whyNoPathSegment(id: string): string | undefined {
  if (id === '') return 'is empty'
  if (id === '.' || id === '..') return 'is not a file name'
  if (new TextEncoder().encode(id).length > MAX_SEGMENT_BYTES) {
    return `is longer than ${MAX_SEGMENT_BYTES} bytes`
  }
  for (const char of id) {
    if (char === '/' || char === '\\') return 'contains a slash'
    if (char.charCodeAt(0) < 0x20 || char.charCodeAt(0) === 0x7f) {
      return 'contains a control character'
    }
  }
  return undefined
}

function segment(id: string): string {
  assert(whyNoPathSegment(id) === undefined, 'ids are checked before paths are made of them')
  return id
}

const parent = (dir: string): string => dir.replace(/\/+$/, '')

/** Holds the directories of all agents that ever ran with this `--work_dir`, and `latest`. */
export function agentsDir(workDir: string): string {
  return `${parent(workDir)}/slaves`
}

export function agentDir(workDir: string, agentId: string): string {
  return `${agentsDir(workDir)}/${segment(agentId)}`
}

export function latestAgentLink(workDir: string): string {
  return `${agentsDir(workDir)}/latest`
}

/** What tells one executor from all others of the agent. */
export interface ExecutorPlace {
  readonly agentId: string
  readonly frameworkId: string
  readonly executorId: string
}

export function executorDir(workDir: string, place: ExecutorPlace): string {
  const { agentId, frameworkId, executorId } = place
  const framework = `${agentDir(workDir, agentId)}/frameworks/${segment(frameworkId)}`
  return `${framework}/executors/${segment(executorId)}`
}

/** The sandbox: working directory of the executor, or of the command that needs none. */
export function sandboxDir(workDir: string, place: ExecutorPlace, containerId: string): string {
  return `${executorDir(workDir, place)}/runs/${segment(containerId)}`
}

export function latestRunLink(workDir: string, place: ExecutorPlace): string {
  return `${executorDir(workDir, place)}/runs/latest`
}

/** The name under which the files of a run are shown, whatever the agent's id. */
export function virtualRunPath(frameworkId: string, executorId: string, run: string): string {
  return `/frameworks/${segment(frameworkId)}/executors/${segment(executorId)}/runs/${segment(run)}`
}

export function containersDir(runtimeDir: string): string {
  return `${parent(runtimeDir)}/containers`
}

/** Empty on the machine: each container that has secrets has them there for a moment, in a mount namespace of its own. */
export function secretsDir(runtimeDir: string): string {
  return `${parent(runtimeDir)}/secrets`
}

/** Records of Docker's containers (docker/docker-records.ts), by the agents' token. */
export function dockerContainersDir(runtimeDir: string, token: string): string {
  return `${parent(runtimeDir)}/docker/${token}/containers`
}

export function containerRuntimeDir(runtimeDir: string, containerId: string): string {
  return `${containersDir(runtimeDir)}/${segment(containerId)}`
}

export function pidPath(runtimeDir: string, containerId: string): string {
  return `${containerRuntimeDir(runtimeDir, containerId)}/pid`
}

export function cgroupsPath(runtimeDir: string, containerId: string): string {
  return `${containerRuntimeDir(runtimeDir, containerId)}/cgroups`
}

/** Says that the container outlives its agent; while it is there. */
export function survivesPath(runtimeDir: string, containerId: string): string {
  return `${containerRuntimeDir(runtimeDir, containerId)}/survives`
}

/** Names the device of the container's terminal. */
export function terminalPath(runtimeDir: string, containerId: string): string {
  return `${containerRuntimeDir(runtimeDir, containerId)}/terminal`
}

/** A fifo: what is written there is typed in the container's terminal. */
export function inputPath(runtimeDir: string, containerId: string): string {
  return `${containerRuntimeDir(runtimeDir, containerId)}/input`
}

export function statusPath(runtimeDir: string, containerId: string): string {
  return `${containerRuntimeDir(runtimeDir, containerId)}/status`
}
