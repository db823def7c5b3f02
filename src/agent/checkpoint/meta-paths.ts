// Where checkpoints are: a second tree of the form of the sandboxes', below `<work_dir>/meta`, as in Mesos.
//
//   <work_dir>/meta/
//   ├── trash/                                       what is being removed
//   └── slaves/
//       ├── latest → <agent id>
//       └── <agent id>/
//           ├── slave.info
//           ├── drain.config                         while it is being drained
//           └── frameworks/<framework id>/
//               ├── framework.info
//               └── executors/<executor id>/
//                   └── runs/<container id>/
//                       ├── executor.info
//                       ├── kill                     once it was asked to end
//                       └── tasks/<task id>/
//                           ├── task.info
//                           └── task.updates         updates and acknowledgements, appended
//
// A run's directory is there as long as something of it is to be done; process ids are in the runtime directory.

import { agentDir, agentsDir, type ExecutorPlace, executorDir, latestAgentLink } from '../paths.ts'

export const metaDir = (workDir: string): string => `${workDir.replace(/\/+$/, '')}/meta`

/** What is being removed. */
export const metaTrashDir = (workDir: string): string => `${metaDir(workDir)}/trash`

export const metaAgentsDir = (workDir: string): string => agentsDir(metaDir(workDir))

export const metaLatestLink = (workDir: string): string => latestAgentLink(metaDir(workDir))

export const agentInfoPath = (workDir: string, agentId: string): string =>
  `${agentDir(metaDir(workDir), agentId)}/slave.info`

export const drainConfigPath = (workDir: string, agentId: string): string =>
  `${agentDir(metaDir(workDir), agentId)}/drain.config`

export const frameworksDir = (workDir: string, agentId: string): string =>
  `${agentDir(metaDir(workDir), agentId)}/frameworks`

/** Of what is in the tree: names of directories, as they were listed. */
export const frameworkDir = (frameworks: string, frameworkId: string): string =>
  `${frameworks}/${frameworkId}`

export const FRAMEWORK_INFO = 'framework.info'
export const EXECUTOR_INFO = 'executor.info'
export const TASK_INFO = 'task.info'
export const TASK_UPDATES = 'task.updates'
export const KILL = 'kill'
export const GROUP = 'group'

export const metaExecutorDir = (workDir: string, place: ExecutorPlace): string =>
  executorDir(metaDir(workDir), place)

export const metaRunDir = (workDir: string, place: ExecutorPlace, containerId: string): string =>
  `${metaExecutorDir(workDir, place)}/runs/${containerId}`

export const metaTaskDir = (run: string, taskId: string): string => `${run}/tasks/${taskId}`
