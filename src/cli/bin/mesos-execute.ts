// mesos-execute: see ../execute.ts.

import { executeCommand } from '../execute.ts'
import { main } from '../main.ts'

await main(executeCommand)
