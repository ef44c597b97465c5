// Prints the CIDs that ipfs-unixfs-importer gives to the inputs that importer_test.go makes too, as
// JSON: {"profile/input": "CID"}. It is Node's own, and the packages of package-lock.json:
//
//   npm ci && node generate.mjs > ../importer.json
import { importer } from 'ipfs-unixfs-importer'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'

const blockstore = { put: async (cid) => cid } // nothing is read again

// The bytes 0, 1, 2, ... modulo 251: no chunk of a file is like the one before.
function bytes (n) {
  const out = new Uint8Array(n)
  for (let i = 0; i < n; i++) out[i] = i % 251
  return out
}

async function root (items, options) {
  let last
  for await (const entry of importer(items, blockstore, options)) last = entry
  return last.cid.toString()
}

const file = (n, options) => root([{ content: bytes(n) }], options)
const tree = (paths, options) => root(
  paths.map(path => ({ path, content: new TextEncoder().encode(path) })), { ...options, wrapWithDirectory: true })

const profiles = {
  'unixfs-v1-2025': { links: 1024, chunk: 1 << 20, options: { profile: 'unixfs-v1-2025' } },
  'unixfs-v0-2015': { links: 174, chunk: 256 << 10, options: { profile: 'unixfs-v0-2015' } },
  'legacy-cid-v1': { links: 174, chunk: 256 << 10, options: { profile: 'unixfs-v0-2015', cidVersion: 1, rawLeaves: true } }
}

const out = {}
for (const [name, { links, chunk, options }] of Object.entries(profiles)) {
  const add = async (what, cid) => { out[`${name}/${what}`] = await cid }
  for (const [what, n] of [['empty', 0], ['1 byte', 1], ['chunk-1', chunk - 1], ['chunk', chunk], ['chunk+1', chunk + 1]]) {
    await add(what, file(n, options))
  }
  const small = { ...options, chunker: fixedSize({ chunkSize: 1024 }), layout: balanced({ maxChildrenPerNode: links }) }
  for (const [what, n] of [['links-1', links - 1], ['links', links], ['links+1', links + 1]]) {
    await add(`${what} chunks of 1 KiB`, file(n * 1024, small))
  }
  await add('one byte more than links chunks of 1 KiB', file(links * 1024 + 1, small))
  await add('6000 entries', tree(Array.from({ length: 6000 }, (_, i) => `file number ${i} of a large directory`), options))
  await add('nested', tree(['a/b/c/d/e', 'a/b/x', 'a/y', 'z'], options))
  await add('unicode', tree(['日本/語', 'ñandú', 'a b', 'e\u0301', '🙂/🙃'], options))
}
process.stdout.write(JSON.stringify(out, null, 2) + '\n')
