// The log writer of an agent (../../agent/logger/log-writer.ts), which starts it. Argument: its directory.

import { runLogWriter } from '../../agent/logger/log-writer.ts'

const [directory] = process.argv.slice(2)
if (directory === undefined) {
  process.stderr.write('This is started by mesos-agent, with --container_logger.\n')
  process.exitCode = 1
} else await runLogWriter(directory)
