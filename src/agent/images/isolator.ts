// docker/runtime: a container that has an image starts as the image says, as far as its command leaves that open.

import type { Isolator } from '../containerizer/isolator.ts'
import { mergeRuntime } from './image-config.ts'

export const dockerRuntimeIsolator: Isolator = {
  name: 'docker/runtime',
  prepare: ({ image, command = {} }, plan) => {
    if (!image || !plan.root) return
    const { env, workingDirectory, ...program } = mergeRuntime(image, command)
    plan.program = program
    Object.assign(plan.env, env)
    if (workingDirectory !== undefined) plan.root = { ...plan.root, workingDirectory }
  },
}
