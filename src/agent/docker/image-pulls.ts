// Images are pulled once for all that wait for them.

import { UserError } from '../../base/errors.ts'
import type { DockerAnswer, DockerCommand } from './docker-command.ts'
import { messageIn, saysNothingThere } from './docker-state.ts'

interface Pull {
  readonly answer: Promise<DockerAnswer>
  readonly cancel: AbortController
  waiting: number
}

export class ImagePulls {
  readonly #docker: DockerCommand
  readonly #pulls = new Map<string, Pull>()

  constructor(docker: DockerCommand) {
    this.#docker = docker
  }

  /** Resolves when the image is there. Rejects with what Docker said, or when the one who asked does not want it any more. */
  async have(image: string, isForced: boolean, signal: AbortSignal): Promise<void> {
    if (!isForced) {
      const found = await this.#docker.run(['image', 'inspect', '--format={{.Id}}', '--', image])
      if (found.ok) return
      if (!saysNothingThere(found.stderr)) {
        throw new UserError('unavailable', `Docker failed: ${messageIn(found.stderr)}`)
      }
    }
    const { ok, stderr } = await this.#pull(image, signal)
    if (ok) return
    throw new UserError('not_found', `Failed to pull the image '${image}': ${messageIn(stderr)}`)
  }

  async #pull(image: string, signal: AbortSignal): Promise<DockerAnswer> {
    const pull = this.#pulls.get(image) ?? this.#begin(image)
    pull.waiting++
    const abandoned = new Promise<DockerAnswer>(resolve => {
      const given = { ok: false, code: undefined, stdout: '', stderr: 'it is not wanted any more' }
      if (signal.aborted) resolve(given)
      signal.addEventListener('abort', () => resolve(given), { once: true })
    })
    const answer = await Promise.race([pull.answer, abandoned])
    // The last one who waited has gone.
    if (--pull.waiting === 0) {
      if (this.#pulls.get(image) === pull) this.#pulls.delete(image)
      pull.cancel.abort()
    }
    return answer
  }

  #begin(image: string): Pull {
    const cancel = new AbortController()
    const answer = this.#docker.run(['pull', '--quiet', '--', image], {
      isLong: true,
      signal: cancel.signal,
    })
    const pull = { answer, cancel, waiting: 0 }
    this.#pulls.set(image, pull)
    return pull
  }
}
