// dial.mjs <multiaddr>...: calls a daemon in each way that is told, and pings it.
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { deadline, options, say } from './lib.mjs'

for (const addr of process.argv.slice(2)) {
  const peer = await createLibp2p(options({ addresses: {}, transports: [tcp(), webSockets(), webRTCDirect()] }))
  try {
    const ms = await peer.services.ping.ping(multiaddr(addr), { signal: deadline })
    say({ addr, through: peer.getConnections()[0].remoteAddr.toString(), ms })
  } catch (err) {
    say({ addr, error: String(err) })
  }
  await peer.stop()
}
process.exit(0)
