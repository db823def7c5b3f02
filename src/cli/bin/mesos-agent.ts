// mesos-agent: see ../agent.ts.

import { agentCommand } from '../agent.ts'
import { main } from '../main.ts'

await main(agentCommand)
