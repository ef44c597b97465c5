// gossip.mjs <multiaddr of a daemon> <topic>: listens to announcements and says the first one,
// and whether the signature in it is good.
import { createPublicKey, verify } from 'node:crypto'
import { gossipsub } from '@libp2p/gossipsub'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { deadline, options, say, told } from './lib.mjs'

const [addr, topic] = process.argv.slice(2)
const peer = await createLibp2p(options({
  services: { pubsub: gossipsub({ globalSignaturePolicy: 'StrictNoSign' }) }
}))
const { pubsub } = peer.services

// The signature is field 15 of an envelope, its last 66 bytes, over a prefix and the rest; the
// author is field 1, a peer id with the key in it.
function signed (data) {
  const [tag, length] = data
  const id = data.subarray(2, 2 + length)
  if (tag !== 0x0a || length !== 38 || data[data.length - 66] !== 0x7a) return false
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(id.subarray(6)).toString('base64url') } })
  const said = Buffer.concat([Buffer.from('cairn/update/1' + topic), data.subarray(0, -66)])
  return verify(null, said, key, data.subarray(-64))
}

pubsub.addEventListener('message', ({ detail: m }) => {
  const bad = Buffer.from(m.data)
  bad[bad.length - 70] ^= 1
  say({ topic: m.topic, text: Buffer.from(m.data).toString('latin1'), signed: signed(m.data), control: signed(bad) })
})
pubsub.subscribe(topic)
await peer.dial(multiaddr(addr), { signal: deadline })
while (!pubsub.getSubscribers(topic).length) {
  await new Promise(resolve => setTimeout(resolve, 50))
}
say({ subscribers: pubsub.getSubscribers(topic).length })
await told()
await peer.stop()
process.exit(0)
