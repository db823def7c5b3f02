// mesos-master: see ../master.ts.

import { main } from '../main.ts'
import { masterCommand } from '../master.ts'

await main(masterCommand)
