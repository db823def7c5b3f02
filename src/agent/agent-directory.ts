// Where an agent that has got an id keeps its sandboxes, and where the next one finds who it was.

import { messageOf } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { AgentInfo } from '../messages/agent.ts'
import type { AgentOptions } from './options.ts'
import { agentDir, latestAgentLink } from './paths.ts'

const DIRECTORY_MODE = 0o755

/**
 * Never rejects: tasks' own directories are made below it as they come, and what cannot be written down is told of each task that
 * needs it.
 */
export async function makeAgentDirectory(
  { files, workDir, checkpoints }: AgentOptions,
  info: AgentInfo,
  log: Logger,
): Promise<void> {
  const id = info.id!.value
  const failed =
    (what: string) =>
    (error: unknown): void =>
      log.error({ error: messageOf(error) }, `${what} in ${workDir} could not be made`)
  const made = files
    .makeDirectory(agentDir(workDir, id), DIRECTORY_MODE)
    .then(() => files.linkLatest(latestAgentLink(workDir), id))
  await Promise.all([
    made.catch(failed("the agent's directory")),
    checkpoints?.agent(info).catch(failed("the agent's checkpoint")),
  ])
}
