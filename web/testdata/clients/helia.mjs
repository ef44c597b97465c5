// helia.mjs <multiaddr of a daemon> <cid>: gets the file from the daemon by bitswap, then has
// one of its own of 5 MiB until the test has read it.
import { randomBytes } from 'node:crypto'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import { multiaddr } from '@multiformats/multiaddr'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'
import { collect, deadline, options, say, sha256, told } from './lib.mjs'

const [addr, cid] = process.argv.slice(2)
const helia = await withBitswap(withLibp2pLight(createHeliaLight(), options())).start()
await helia.libp2p.dial(multiaddr(addr), { signal: deadline })
const fs = unixfs(helia)

const began = Date.now()
const got = await collect(fs.cat(CID.parse(cid), { signal: deadline }))
say({ bytes: got.length, sha256: sha256(got), ms: Date.now() - began })

const own = randomBytes(5 << 20)
say({ cid: (await fs.addBytes(own)).toString(), sha256: sha256(own) })
await told()
await helia.stop()
process.exit(0)
