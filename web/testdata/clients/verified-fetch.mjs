// verified-fetch.mjs <url of a gateway> <cid of a file> <cid of a directory>: reads the file, the
// listing and a file below it, each block checked here.
import { withHTTP } from '@helia/http'
import { createVerifiedFetch } from '@helia/verified-fetch'
import { createHeliaLight } from 'helia'
import { deadline, say, sha256 } from './lib.mjs'

const [gateway, file, dir, below] = process.argv.slice(2)
const helia = await withHTTP(createHeliaLight(), {
  recursiveGateways: [gateway], delegatedRouters: [gateway], // without any router it asks no gateway
  allowInsecure: true, allowLocal: true
}).start()
const get = await createVerifiedFetch(helia)

const began = Date.now()
const res = await get(`ipfs://${file}`, { signal: deadline })
const bytes = Buffer.from(await res.arrayBuffer())
const took = Date.now() - began
const list = await get(`ipfs://${dir}/`, { signal: deadline })
const one = await get(`ipfs://${dir}/${below}`, { signal: deadline })
say({
  status: res.status, bytes: bytes.length, sha256: sha256(bytes), ms: took,
  listStatus: list.status, listType: list.headers.get('content-type'), list: await list.text(),
  belowStatus: one.status, below: await one.text()
})
await get.stop()
process.exit(0)
