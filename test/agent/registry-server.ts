// A small registry on loopback for tests: images that a test puts there, asked for as a test wants it to be, and it counts.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { configOf, type Image, sha256 } from './image-files.ts'

export type Serve = (request: IncomingMessage, response: ServerResponse) => void

export class RegistryServer {
  /** Requests, by method and path. */
  readonly asked: string[] = []
  /** What is served, by path; a function serves as it likes. */
  readonly served = new Map<string, Buffer | Serve>()
  /** Answers before all else, if it returns true. */
  guard: (request: IncomingMessage, response: ServerResponse) => boolean = () => false
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => {
      const path = request.url ?? ''
      this.asked.push(path)
      response.on('error', () => {})
      if (this.guard(request, response)) return
      const found = this.served.get(path.split('?')[0]!)
      if (typeof found === 'function') return found(request, response)
      response.writeHead(found ? 200 : 404).end(found)
    })
  }

  async start(): Promise<void> {
    await new Promise<void>(done => this.#server.listen(0, '127.0.0.1', done))
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get url(): string {
    return `http://${this.host}`
  }

  count(pattern: RegExp): number {
    return this.asked.filter(path => pattern.test(path)).length
  }

  /** Its digest. */
  blob(repository: string, bytes: Buffer): string {
    const digest = sha256(bytes)
    this.served.set(`/v2/${repository}/blobs/${digest}`, bytes)
    return digest
  }

  /** Puts it there by its digest, and by the tag; returns the digest. */
  manifest(repository: string, json: object, tag?: string): string {
    const bytes = Buffer.from(JSON.stringify(json))
    const digest = sha256(bytes)
    for (const name of tag === undefined ? [digest] : [digest, tag]) {
      this.served.set(`/v2/${repository}/manifests/${name}`, bytes)
    }
    return digest
  }

  /** An image of layers that are compressed. Returns the digest of its manifest. */
  image(repository: string, image: Image, tag?: string): string {
    const descriptor = (bytes: Buffer) => ({
      digest: this.blob(repository, bytes),
      size: bytes.length,
    })
    const json = {
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: descriptor(Buffer.from(configOf(image))),
      layers: image.layers.map(layer => descriptor(gzipSync(layer))),
    }
    return this.manifest(repository, json, tag)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(done => this.#server.close(done))
  }
}
