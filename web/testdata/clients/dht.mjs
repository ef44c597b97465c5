// dht.mjs <multiaddr of a member> <protocol> <cid> <another member>: asks the DHT who has the
// cid and where that member is, and leaves a record of its own.
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { deadline, options, say, told } from './lib.mjs'

const [addr, protocol, cid, other] = process.argv.slice(2)
const peer = await createLibp2p(options({
  services: { dht: kadDHT({ protocol, clientMode: false, peerInfoMapper: passthroughMapper }) }
}))
const dialled = await peer.dial(multiaddr(addr), { signal: deadline })
const { dht } = peer.services
for (let n = 0; n < 100 && dht.routingTable.size === 0; n++) {
  await new Promise(resolve => setTimeout(resolve, 100))
}

const providers = new Set()
for await (const e of dht.findProviders(CID.parse(cid), { signal: deadline })) {
  if (e.name === 'PROVIDER') e.providers.forEach(p => providers.add(p.id.toString()))
}
let found = []
for await (const e of dht.findPeer(peerIdFromString(other), { signal: deadline })) {
  if (e.name === 'FINAL_PEER') found = e.peer.multiaddrs.map(String)
}
const own = CID.parse('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku') // of no bytes at all
let kept = 0
for await (const e of dht.provide(own, { signal: deadline })) {
  if (e.name === 'PEER_RESPONSE' && e.messageType === 'ADD_PROVIDER') kept++
}
say({ self: peer.peerId.toString(), dialled: dialled.remotePeer.toString(), table: dht.routingTable.size, providers: [...providers], found, kept })
await told()
await peer.stop()
process.exit(0)
