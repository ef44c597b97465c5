// What the clients have in common: a libp2p peer of loopback that calls nobody by itself.
import { createHash } from 'node:crypto'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'

/** The options of a libp2p peer; over are those that a client has besides. */
export function options ({ services, ...over } = {}) {
  return {
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false }, // loopback may be dialled
    services: { identify: identify(), ping: ping(), ...services },
    ...over
  }
}

/** One line for the test that runs this. */
export function say (what) { process.stdout.write(JSON.stringify(what) + '\n') }

export function sha256 (bytes) { return createHash('sha256').update(bytes).digest('hex') }

export async function collect (chunks) {
  const all = []
  for await (const c of chunks) all.push(c)
  return Buffer.concat(all)
}

/** A deadline for a whole client. */
export const deadline = AbortSignal.timeout(60_000)
deadline.addEventListener('abort', () => { console.error('too slow'); process.exit(1) })

/** Resolves when the test has closed standard input. */
export function told () {
  return new Promise(resolve => process.stdin.resume().on('end', resolve).on('close', resolve))
}
