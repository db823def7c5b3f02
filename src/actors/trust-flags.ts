// The flag by which a process gets the secret that it shares with its cluster.

import { flag } from '../base/flag.ts'
import { MIN_SECRET_LENGTH, secretProblem } from './secret-rule.ts'

/** To be spread into the definitions of everything that talks to other processes. */
export const trustFlags = {
  cluster_secret: flag.string({
    group: 'Trust',
    secret: true,
    help: 'Secret that all processes of the cluster share. With it, each has to prove to the other that it knows it before either is heard. Best in a file that only its owner can read.',
    expected: `at least ${MIN_SECRET_LENGTH} characters, as 'openssl rand -hex 32' makes them`,
    example: 'file:///etc/mesos/secret',
    validate: secretProblem,
  }),
}
