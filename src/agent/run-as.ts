// Under which account a command runs.

import type { CommandInfo } from '../messages/command.ts'
import type { FrameworkInfo } from '../messages/framework.ts'

export interface Switching {
  /** The agent's own account. */
  readonly user: string
  /** `--switch_user`. */
  readonly switchUser: boolean
}

/** Only root may start what runs under another account. */
const MAY_SWITCH = 'root'

/** Another account than the agent's, where a command is to run under one. */
export function otherUser(
  command: CommandInfo | undefined,
  framework: FrameworkInfo,
  { user, switchUser }: Switching,
): string | undefined {
  const wanted = command?.user ?? framework.user
  return switchUser && wanted !== '' && wanted !== user ? wanted : undefined
}

export function whyNotSwitched(other: string | undefined, { user }: Switching): string | undefined {
  if (other === undefined || user === MAY_SWITCH) return undefined
  return `it is to run as user '${other}', but this agent runs tasks only as '${user}', its own user: it is not root`
}
