// kubo-rpc-client and ipfs-car against the RPC of a daemon: node kubo.mjs URL TOKEN, and of a
// second one, to which messages go: URL TOKEN URL2 TOKEN2.
// It says one line of JSON for each thing that worked, and fails at the first that did not.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from 'kubo-rpc-client'

const [url, token, url2, token2] = process.argv.slice(2)
const client = (url, token) => create({ url: url + '/api/v0', headers: { authorization: `Bearer ${token}` }, timeout: 30_000 })
const ipfs = client(url, token)
const said = (did, more = {}) => process.stdout.write(JSON.stringify({ did, ...more }) + '\n')
async function all (source) {
  const out = []
  for await (const one of source) out.push(one)
  return out
}
const bytes = async source => Buffer.concat(await all(source))
const big = Buffer.alloc(5 << 20, 'cairn ').map((b, i) => b ^ (i >> 11))
const scratch = mkdtempSync(join(tmpdir(), 'cairn-clients-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

const me = await ipfs.id()
assert.ok(me.addresses.length > 0 && me.publicKey.length > 0)
said('id', { id: me.id.toString(), version: (await ipfs.version()).version })

let last = 0
const one = await ipfs.add({ path: 'big', content: big }, { progress: n => { last = n } })
assert.equal(last, big.length)
said('add', { cid: one.cid.toString(), size: one.size })

const files = await all(ipfs.addAll([{ path: 'd/a b', content: 'hello' }, { path: 'd/sub/ü', content: big }], { cidVersion: 1 }))
const root = files.at(-1)
assert.deepEqual(files.map(f => f.path), ['d/a b', 'd/sub/ü', 'd/sub', 'd'])
said('addAll', { cid: root.cid.toString() })
const wrapped = await all(ipfs.addAll([{ path: 'x', content: '1' }, { path: 'y', content: '2' }], { wrapWithDirectory: true, pin: false }))
assert.equal(wrapped.length, 3)
assert.notEqual((await ipfs.add(big, { onlyHash: true, chunker: 'size-1000', trickle: true })).cid.toString(), (await ipfs.add(big, { onlyHash: true, chunker: 'size-1000' })).cid.toString())
const only = await ipfs.add(big, { onlyHash: true, cidVersion: 0, chunker: 'size-1000' })
assert.match(only.cid.toString(), /^Qm/)
said('add with options')
await assert.rejects(ipfs.add('x', { hashAlg: 'blake2b-256' }), /sha2-256/)
await assert.rejects(ipfs.cat('bafybeiexb3yvditptr7x2qevisbkqj4y2fyyezdgzcs7ridopv5dolpy/no').next(), /bad path|CID/)
said('errors are told')

assert.ok(big.equals(await bytes(ipfs.cat(one.cid))))
assert.ok(big.subarray(1_000_000, 1_000_010).equals(await bytes(ipfs.cat(`${root.cid}/sub/ü`, { offset: 1_000_000, length: 10 }))))
said('cat', { bytes: big.length })
assert.ok((await bytes(ipfs.get(root.cid))).includes('hello'))
said('get')
assert.deepEqual((await all(ipfs.ls(root.cid))).map(e => [e.name, e.type]), [['a b', 'file'], ['sub', 'dir']])
said('ls')
assert.ok((await all(ipfs.refs(root.cid, { recursive: true, unique: true }))).length >= 3)
said('refs')

assert.ok((await all(ipfs.pin.ls())).some(p => p.cid.equals(root.cid)))
await ipfs.pin.rm(root.cid)
await assert.rejects(ipfs.pin.rm(root.cid), /not pinned/)
await ipfs.pin.add(root.cid)
assert.equal((await all(ipfs.pin.ls({ paths: root.cid }))).length, 1)
said('pin')

assert.equal((await ipfs.block.stat(root.cid)).cid.toString(), root.cid.toString())
assert.ok((await ipfs.block.get(root.cid)).length > 0)
assert.equal((await ipfs.dag.get(root.cid)).value.Links.length, 2)
assert.equal((await ipfs.dag.resolve(`${root.cid}/sub/ü`)).remainderPath ?? '', '')
said('block and dag')
assert.equal((await ipfs.files.stat(`/ipfs/${root.cid}`)).type, 'directory')
assert.equal((await all(ipfs.files.ls(`/ipfs/${root.cid}`))).length, 2)
const dir = '/tried by kubo.mjs'
await ipfs.files.rm(dir, { recursive: true, force: true })
await ipfs.files.mkdir(`${dir}/sub`, { parents: true })
await assert.rejects(ipfs.files.mkdir(`${dir}/sub`), /file already exists/)
await assert.rejects(ipfs.files.stat(`${dir}/no`), /file does not exist/)
await ipfs.files.cp(`/ipfs/${root.cid}`, `${dir}/copy`)
await assert.rejects(ipfs.files.cp(`/ipfs/${root.cid}`, `${dir}/copy`), /directory already has entry by that name/)
await ipfs.files.write(`${dir}/big`, big, { create: true })
assert.equal((await ipfs.files.stat(`${dir}/big`)).cid.toString(), one.cid.toString())
await ipfs.files.write(`${dir}/big`, new TextEncoder().encode('xyz'), { offset: 1_000_000 })
assert.equal((await bytes(ipfs.files.read(`${dir}/big`, { offset: 1_000_000, length: 3 }))).toString(), 'xyz')
await ipfs.files.mv(`${dir}/big`, `${dir}/sub/large`)
assert.deepEqual((await all(ipfs.files.ls(dir))).map(e => [e.name, e.type]), [['copy', 'directory'], ['sub', 'directory']])
const local = await ipfs.files.stat(`${dir}/sub`, { withLocal: true })
assert.ok(local.withLocality && local.local && local.sizeLocal >= big.length)
assert.equal((await ipfs.files.flush(dir)).toString(), (await ipfs.files.stat(dir)).cid.toString())
await assert.rejects(ipfs.files.rm(dir), /is a directory/)
await ipfs.files.rm(dir, { recursive: true })
said('files')
assert.equal(await ipfs.resolve(`/ipfs/${root.cid}`), `/ipfs/${root.cid}`)
assert.ok(Array.isArray(await ipfs.swarm.peers()))
assert.ok((await ipfs.repo.stat()).numObjects > 0n)
await all(ipfs.repo.gc())
said('resolve, swarm and repo')

// What we export ipfs-car reads, checks and unpacks; the root it makes of the same bytes is ours.
const car = join(scratch, 'd.car')
writeFileSync(car, await bytes(ipfs.dag.export(root.cid)))
const tool = (...args) => execFileSync(process.execPath, [new URL('node_modules/ipfs-car/bin.js', import.meta.url).pathname, ...args]).toString().trim()
assert.equal(tool('roots', car), root.cid.toString())
tool('unpack', car, '--output', join(scratch, 'out'))
assert.ok(big.equals(readFileSync(join(scratch, 'out', 'sub', 'ü'))))
said('ipfs-car unpacks what dag.export gives', { bytes: readFileSync(car).length })

try { // a peer that takes the blocks of others
  writeFileSync(join(scratch, 'plain'), big)
  tool('pack', join(scratch, 'plain'), '--no-wrap', '--output', join(scratch, 'plain.car'))
  const roots = await all(ipfs.dag.import([readFileSync(join(scratch, 'plain.car'))]))
  assert.equal(roots[0].root.cid.toString(), tool('roots', join(scratch, 'plain.car')))
  assert.ok(big.equals(await bytes(ipfs.cat(roots[0].root.cid))))
  said('dag.import takes what ipfs-car packs')
  const node = await ipfs.dag.put({ link: root.cid, n: 1 })
  assert.equal((await ipfs.dag.get(node, { path: '/n' })).value, 1)
  const block = await ipfs.block.put(new TextEncoder().encode('block'))
  assert.equal(Buffer.from(await ipfs.block.get(block)).toString(), 'block')
  said('dag.put and block.put')
} catch (err) {
  if (!/takes no blocks/.test(err.message)) throw err
  said('no import here')
}

if (url2) { // what one says on a topic the other hears, with the name of who said it
  const other = client(url2, token2)
  const topic = 'cairn ünïcode/' + Math.random()
  const heard = []
  await ipfs.pubsub.subscribe(topic, m => heard.push(m))
  assert.deepEqual(await ipfs.pubsub.ls(), [topic])
  const until = async (what, is) => {
    for (const end = Date.now() + 10_000; !(await is()); await new Promise(resolve => setTimeout(resolve, 20))) {
      if (Date.now() > end) throw new Error('not within 10 s: ' + what)
    }
  }
  await until('a listener', async () => (await other.pubsub.peers(topic)).length > 0)
  assert.equal((await other.pubsub.peers(topic))[0].toString(), me.id.toString())
  const text = Buffer.from([0, 255, 10, 13, ...Buffer.from('hello')])
  const began = performance.now()
  await other.pubsub.publish(topic, text)
  await until('the message', () => heard.length > 0)
  const ms = Math.round(performance.now() - began)
  assert.ok(text.equals(Buffer.from(heard[0].data)) && heard[0].topic === topic && heard[0].type === 'signed')
  assert.equal(heard[0].from.toString(), (await other.id()).id.toString())
  await ipfs.pubsub.unsubscribe(topic)
  await until('nobody listening', async () => (await other.pubsub.peers(topic)).length === 0)
  assert.deepEqual(await ipfs.pubsub.ls(), [])
  await assert.rejects(other.pubsub.publish('/cairn/main/updates/1', text), /no topic for applications/)
  await assert.rejects(other.pubsub.publish(topic, Buffer.alloc((16 << 10) + 1)), /too long/)
  said('pubsub between two', { ms })
}
said('all')
