// mesos: see ../mesos.ts.

import { runMesos } from '../mesos.ts'

await runMesos()
