import type { Experiment } from './harness.ts'
export const experiments: readonly Experiment[] = []
