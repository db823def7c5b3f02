// mesos-local: see ../local.ts.

import { localCommand } from '../local.ts'
import { main } from '../main.ts'

await main(localCommand)
