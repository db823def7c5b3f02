// mesos-log: see ../log.ts.

import { runLog } from '../log.ts'

await runLog()
